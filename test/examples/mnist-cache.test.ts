/** MNIST on first use: downloaded once however many ask, used again, repaired, and what is said when it cannot be had. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, statSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { DataError } from '../../examples/support/data-file.ts';
import type { Splits } from '../../examples/support/idx.ts';
import { MNIST_MIRRORS } from '../../examples/support/mnist.ts';
import {
  cacheFolder,
  loadCachedMnist,
  type MnistCacheOptions,
  mirrorsOf,
} from '../../examples/support/mnist-cache.ts';
import { FAKE_FILES, FAKE_MIRROR } from '../support/fake-mnist.ts';
import { type Answer, FileServer, sendingPart, serving } from '../support/file-server.ts';
import { until } from '../support/until.ts';

const TRAINER = fileURLToPath(new URL('../fixtures/mnist-trainer.js', import.meta.url));
const PATHS = Object.keys(FAKE_MIRROR);
const NAMES = PATHS.map((path) => path.slice(1)).sort();
const IMAGES = 'train-images-idx3-ubyte.gz';

let dir = '';
let folder = '';
let lines: string[] = [];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gradwire-cache-'));
  folder = join(dir, 'deep', 'mnist');
  lines = [];
});
afterEach(async () => await rm(dir, { recursive: true }));

function load(mirrors: readonly string[], options: MnistCacheOptions = {}): Promise<Splits> {
  const log = (line: string): unknown => lines.push(line);
  const view = () => ({ update: () => undefined, end: () => undefined });
  return loadCachedMnist({
    folder,
    mirrors,
    files: FAKE_FILES,
    log,
    download: { view, connectMs: 10_000, stallMs: 10_000 },
    ...options,
  });
}

test('is downloaded on first use, and used again without a network', async () => {
  const server = await FileServer.start(serving(FAKE_MIRROR));
  const { train, test: heldOut } = await load([server.url]);
  expect(train).toMatchObject({ count: 12, source: `MNIST (${folder})` });
  expect(heldOut.count).toBe(3);
  expect(server.requests).toEqual(PATHS);
  expect(lines).toEqual([`Downloading MNIST to ${folder}`]);
  await server[Symbol.asyncDispose]();
  await load([server.url]);
  expect(lines).toHaveLength(1);
  expect((await readdir(folder)).sort()).toEqual(NAMES);
});

test('a mirror that has one file is asked first for the others', async () => {
  await using empty = await FileServer.start(serving({}));
  await using full = await FileServer.start(serving(FAKE_MIRROR));
  await load([empty.url, full.url]);
  expect(empty.requests).toEqual(PATHS.slice(0, 1));
  expect(full.requests).toEqual(PATHS);
});

test('a damaged or missing file of the cache is downloaded again, the others are not', async () => {
  await using server = await FileServer.start(serving(FAKE_MIRROR));
  await load([server.url]);
  server.requests.length = 0;
  await writeFile(join(folder, IMAGES), 'x');
  await load([server.url]);
  expect(server.requests).toEqual([`/${IMAGES}`]);
  expect(lines[1]).toBe(
    `${join(folder, IMAGES)}: not an IDX file (it does not begin with two zero bytes); downloading it again`,
  );
  await rm(join(folder, 't10k-labels-idx1-ubyte.gz'));
  await load([server.url]);
  expect(server.requests.slice(1)).toEqual(['/t10k-labels-idx1-ubyte.gz']);
});

test('out of reach: what was tried, why it failed, and the ways on', async () => {
  await using server = await FileServer.start(serving({}));
  const mirrors = [server.url, `${server.url}other/`];
  const error = await load(mirrors).catch((thrown: Error) => thrown);
  expect(error).toBeInstanceOf(DataError);
  expect((error as Error).message.split('\n')).toEqual([
    'MNIST cannot be downloaded:',
    ...mirrors.map((mirror) => `  ${mirror}${IMAGES}: HTTP 404 Not Found`),
    expect.stringContaining('--data DIR'),
    expect.stringContaining('--data digits'),
  ]);
  for (const name of NAMES) expect((error as Error).message).toContain(name);
  // The lock is free again.
  expect(await readdir(folder)).toEqual([]);
});

test('a folder that cannot be made is one line', async () => {
  await writeFile(join(dir, 'file'), '');
  for (const path of [join(dir, 'file', 'mnist'), join(dir, 'file')]) {
    await expect(load([], { folder: path })).rejects.toThrow(
      /^\S+: cannot be (made|written): ENOTDIR.*$/,
    );
  }
});

class Trainer implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #closed: Promise<unknown>;
  output = '';

  constructor(mirror: string) {
    const options: MnistCacheOptions = { folder, mirrors: [mirror], files: FAKE_FILES };
    this.#process = spawn(process.execPath, [TRAINER, JSON.stringify(options)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
      });
    }
    this.#closed = once(this.#process, 'close');
  }

  /** Exit code and last line. */
  async end(): Promise<[code: number | null, line: string | undefined]> {
    await this.#closed;
    return [this.#process.exitCode, this.output.trimEnd().split('\n').at(-1)];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#closed;
  }
}

test('of processes that start together one downloads, the others wait and use it', async () => {
  // Answers when all have shown that they are there: one by its request, the others by what they say.
  const held: (() => void)[] = [];
  let answer: Answer = (...request) => held.push(() => serving(FAKE_MIRROR)(...request));
  await using server = await FileServer.start((request, response) => answer(request, response));
  await using first = new Trainer(server.url);
  await using second = new Trainer(server.url);
  await using third = new Trainer(server.url);
  const all = [first, second, third];
  const waiting = () => all.filter(({ output }) => output.startsWith('Waiting for process'));
  await until(() => held.length === 1 && waiting().length === 2, 15_000);
  answer = serving(FAKE_MIRROR);
  held[0]?.();
  const result = [0, `MNIST (${folder}), 12 and 3`];
  expect(await Promise.all(all.map((trainer) => trainer.end()))).toEqual([result, result, result]);
  expect(server.requests).toEqual(PATHS);
  expect((await readdir(folder)).sort()).toEqual(NAMES);
}, 60_000);

test('a process killed in mid-download: the next goes on where it stopped', async () => {
  const whole = FAKE_MIRROR[`/${IMAGES}`] as Buffer;
  const half = Math.floor(whole.length / 2);
  let answer: Answer = sendingPart(whole, half);
  await using server = await FileServer.start((request, response) => answer(request, response));
  await using killed = new Trainer(server.url);
  const part = join(folder, `${IMAGES}.part`);
  await until(() => existsSync(part) && statSync(part).size === half, 15_000);
  await killed[Symbol.asyncDispose]();
  expect(existsSync(join(folder, 'lock'))).toBe(true);
  answer = serving(FAKE_MIRROR);
  await load([server.url]);
  expect(server.requests).toEqual([`/${IMAGES}`, `/${IMAGES} bytes=${half}-`, ...PATHS.slice(1)]);
  expect((await readFile(join(folder, IMAGES))).equals(whole)).toBe(true);
  expect((await readdir(folder)).sort()).toEqual(NAMES);
}, 60_000);

test('the folder comes from the environment', () => {
  expect(cacheFolder({ GRADWIRE_CACHE: '/c', XDG_CACHE_HOME: '/x' })).toBe(join('/c', 'mnist'));
  expect(cacheFolder({ XDG_CACHE_HOME: '/x' })).toBe(join('/x', 'gradwire', 'mnist'));
  const own = join(homedir(), '.cache', 'gradwire', 'mnist');
  expect(cacheFolder({})).toBe(own);
  expect(cacheFolder({ GRADWIRE_CACHE: '', XDG_CACHE_HOME: 'relative' })).toBe(own);
});

test('mirrors come from the environment, and must be addresses', () => {
  const of = (text: string): readonly string[] => mirrorsOf({ GRADWIRE_MNIST_MIRRORS: text });
  expect(of(' http://a/b , https://c/,')).toEqual(['http://a/b/', 'https://c/']);
  for (const none of [{}, { GRADWIRE_MNIST_MIRRORS: ' , ' }]) {
    expect(mirrorsOf(none)).toBe(MNIST_MIRRORS);
  }
  expect(() => of('/folder')).toThrow("'/folder' is no http or https address");
  expect(() => of('ftp://a/')).toThrow(DataError);
  expect(() => of('https://me:secret@a/')).toThrow(
    /^GRADWIRE_MNIST_MIRRORS: an address with a user name cannot be used$/,
  );
});
