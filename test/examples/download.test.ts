/** One file from several addresses: whole and verified or not there, resumed, and every way in which a mirror fails. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { DataError } from '../../examples/support/data-file.ts';
import {
  DownloadError,
  type DownloadOptions,
  download,
  type Target,
  type TransferView,
} from '../../examples/support/download.ts';
import { type Answer, FileServer, sendingPart, serving } from '../support/file-server.ts';

const content = Buffer.from(Array.from({ length: 50_000 }, (_, i) => (i * i) % 251));
const packed = gzipSync(content, { level: 9 });
const repacked = gzipSync(content, { level: 0 });
const PATH = '/file.gz';
const good = serving({ [PATH]: packed });

let dir = '';
let target: Target;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gradwire-download-'));
  const sha256 = createHash('sha256').update(content).digest('hex');
  target = { path: join(dir, 'file.gz'), bytes: content.length, sha256 };
});
afterEach(async () => await rm(dir, { recursive: true }));

const part = (): string => `${target.path}.part`;

/** What is in the folder, and the verified file is. */
async function expectWhole(bytes: Uint8Array = packed): Promise<void> {
  expect(await readdir(dir)).toEqual(['file.gz']);
  expect((await readFile(target.path)).equals(bytes)).toBe(true);
}

/** Downloads from servers that answer so, one after the other; gives their requests. */
async function fetchFrom(
  answers: readonly Answer[],
  options: DownloadOptions = {},
): Promise<string[][]> {
  const servers = await Promise.all(answers.map((answer) => FileServer.start(answer)));
  try {
    await download(
      target,
      servers.map(({ url }) => url + PATH.slice(1)),
      { connectMs: 10_000, stallMs: 10_000, ...options },
    );
    return servers.map(({ requests }) => requests);
  } finally {
    for (const server of servers) await server[Symbol.asyncDispose]();
  }
}

/** Why the only address failed. */
async function failure(answer: Answer, options: DownloadOptions = {}): Promise<string> {
  const error: unknown = await fetchFrom([answer], options).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(DownloadError);
  expect(existsSync(target.path)).toBe(false);
  const [line = '', ...others] = (error as DownloadError).failures;
  expect(others).toEqual([]);
  expect(line).toMatch(/^http:\S+\/file\.gz: /);
  return line.replace(/^\S+ /, '');
}

test('the file comes whole, without its part', async () => {
  expect(await fetchFrom([good])).toEqual([[PATH]]);
  await expectWhole();
});

test('a view sees the bytes come', async () => {
  const seen: unknown[] = [];
  await writeFile(part(), packed.subarray(0, 100));
  const view: NonNullable<DownloadOptions['view']> = (from, total) => {
    seen.push([from, total]);
    return { update: (bytes) => seen.push(bytes), end: () => seen.push('end') };
  };
  await fetchFrom([good], { view });
  expect(seen[0]).toEqual([100, packed.length]);
  expect(seen.slice(-2)).toEqual([packed.length, 'end']);
});

test('goes on from a part, and begins anew where the server knows no ranges', async () => {
  await writeFile(part(), packed.subarray(0, 70));
  expect(await fetchFrom([good])).toEqual([[`${PATH} bytes=70-`]]);
  await expectWhole();
  await rm(target.path);
  await writeFile(part(), packed.subarray(0, 70));
  await fetchFrom([serving({ [PATH]: packed }, { ranges: false })]);
  await expectWhole();
});

test('a part that is the whole file is used as it is', async () => {
  await writeFile(part(), packed);
  expect(await fetchFrom([good])).toEqual([[`${PATH} bytes=${packed.length}-`]]);
  await expectWhole();
});

test.each([
  ['begins with something else', repacked.subarray(0, 500)],
  ['is longer than the file', Buffer.alloc(60_000)],
])('a part that %s costs one more request', async (_, bytes) => {
  await writeFile(part(), bytes);
  expect(await fetchFrom([good])).toEqual([[`${PATH} bytes=${bytes.length}-`, PATH]]);
  await expectWhole();
});

test.each<[string, Record<string, string>]>([
  ['another range', { 'content-range': 'bytes 7-99/100' }],
  ['no range', {}],
])('an answer with %s than the one asked for is not taken', async (_, headers) => {
  await writeFile(part(), packed.subarray(0, 70));
  const answer: Answer = (request, response) => {
    if (request.headers.range === undefined) good(request, response);
    else response.writeHead(206, headers).end('x');
  };
  await fetchFrom([answer]);
  await expectWhole();
});

/** Sends 60 bytes and cuts the connection when the client has them: else they may get lost on the way. */
function cutting(): { readonly answer: Answer; readonly view: () => TransferView } {
  let held: ServerResponse | undefined;
  const cut = (): void => {
    held?.destroy();
    held = undefined;
  };
  const answer: Answer = (request, response) => {
    held = response;
    sendingPart(packed, 60)(request, response);
  };
  return { answer, view: () => ({ update: cut, end: () => undefined }) };
}

test('a connection cut in mid-body is taken up again', async () => {
  const { answer, view } = cutting();
  let count = 0;
  const once: Answer = (...request) => (++count === 1 ? answer : good)(...request);
  expect(await fetchFrom([once], { view })).toEqual([[PATH, `${PATH} bytes=60-`]]);
  await expectWhole();
});

test('the next mirror goes on where the first stopped, even if it packs otherwise', async () => {
  const { answer, view } = cutting();
  expect(await fetchFrom([answer, good], { view })).toEqual([
    [PATH, `${PATH} bytes=60-`],
    [`${PATH} bytes=60-`],
  ]);
  await expectWhole();
  await rm(target.path);
  await fetchFrom([answer, serving({ [PATH]: repacked })], { view });
  await expectWhole(repacked);
});

test('redirects are followed, an unpacked file is taken too', async () => {
  await fetchFrom([
    (request, response) => {
      if (request.url === PATH) response.writeHead(302, { location: '/elsewhere' }).end();
      else serving({ '/elsewhere': content })(request, response);
    },
  ]);
  await expectWhole(content);
});

const failures: readonly [string, Answer, RegExp][] = [
  ['a missing file', serving({}), /^HTTP 404 Not Found$/],
  ['a server in trouble', (_, r) => r.writeHead(503).end(), /^HTTP 503 Service Unavailable$/],
  [
    'a page of a network that wants a login',
    serving({ [PATH]: Buffer.from('<html>') }),
    /^what it sent is not the file: its content has 6 bytes instead of 50000$/,
  ],
  [
    'a file cut short',
    serving({ [PATH]: packed.subarray(0, 100) }),
    /^what it sent is not the file: corrupt gzip file: unexpected end of file$/,
  ],
  [
    'other content of the same size',
    serving({ [PATH]: gzipSync(Buffer.from(content).reverse()) }),
    /^what it sent is not the file: its content is damaged$/,
  ],
  [
    'a body that is far too long is not read to its end',
    serving({ [PATH]: Buffer.alloc(1_000_000) }),
    /^what it sent is not the file: its content has [1-9]\d{5} bytes instead of 50000$/,
  ],
  ['an endless redirect', (q, r) => r.writeHead(302, { location: q.url }).end(), /redirect/],
  ['a connection that is cut at once', (_, r) => r.destroy(), /^connection cut \(\w+\)$/],
];

test.each(failures)('%s', async (_, answer, reason) => {
  expect(await failure(answer)).toMatch(reason);
  expect(await readdir(dir)).toEqual([]);
});

test('a server that does not answer, or stops', async () => {
  expect(await failure(() => undefined, { connectMs: 50 })).toBe('no answer within 0.05 s');
  expect(await failure(sendingPart(packed, 60), { stallMs: 500 })).toBe('no byte for 0.5 s');
  // What came is there for the next time.
  expect(await readFile(part())).toHaveLength(60);
});

test('all addresses are named, with why', async () => {
  await using server = await FileServer.start(serving({}));
  const closed = await FileServer.start(serving({}));
  const urls = [`${server.url}a`, `${closed.url}b`, 'http://nowhere.invalid/c'];
  await closed[Symbol.asyncDispose]();
  const error = await download(target, urls).catch((thrown: Error) => thrown);
  expect((error as Error).message.split('\n  ')).toEqual([
    `${target.path}: cannot be downloaded`,
    `${urls[0]}: HTTP 404 Not Found`,
    `${urls[1]}: connection refused (ECONNREFUSED)`,
    expect.stringMatching(/^http:\/\/nowhere\.invalid\/c: host not found/),
  ]);
});

test('a signal ends it, and what came stays', async () => {
  const controller = new AbortController();
  const view = () => ({
    update: () => controller.abort(new Error('enough')),
    end: () => undefined,
  });
  const answers = [sendingPart(packed, 60), good];
  await expect(fetchFrom(answers, { signal: controller.signal, view })).rejects.toThrow('enough');
  expect(await readdir(dir)).toEqual(['file.gz.part']);
});

test('a folder that is not there, or a full disk: one line with the file, no other mirror', async () => {
  const lost = { ...target, path: join(dir, 'no', 'file.gz') };
  await using server = await FileServer.start(good);
  const url = `${server.url}file.gz`;
  const error = await download(lost, [url, url]).catch((thrown: Error) => thrown);
  expect(error).toBeInstanceOf(DataError);
  expect(error).not.toBeInstanceOf(DownloadError);
  expect((error as Error).message).toMatch(/^\S+file\.gz\.part: cannot be written: ENOENT/);
  if (!existsSync('/dev/full')) return;
  await symlink('/dev/full', part());
  await expect(download(target, [url])).rejects.toThrow(
    `${part()}: cannot be written: ENOSPC: no space left on device`,
  );
  expect(await readdir(dir)).toEqual([]);
});
