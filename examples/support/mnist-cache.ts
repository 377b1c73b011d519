/**
 * MNIST without a folder of one's own: downloaded on first use into a cache that all jobs of this user share. Trainers that
 * start together meet at a lock: one downloads, the others use what it got.
 */
import { access, mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { DataError, faultOf } from './data-file.ts';
import { DownloadError, type DownloadOptions, download } from './download.ts';
import { LOCK_PATIENCE_MS, type LockOptions, withFileLock } from './file-lock.ts';
import { loadMnist, type Splits } from './idx.ts';
import { MNIST_FILES, MNIST_MIRRORS, type MnistFile } from './mnist.ts';
import { BYTES, Progress } from './progress.ts';

export interface MnistCacheOptions {
  /** Default that of GRADWIRE_CACHE, else XDG_CACHE_HOME, else ~/.cache. */
  readonly folder?: string;
  /** Folders that hold NAME.gz, tried in order. Default those of GRADWIRE_MNIST_MIRRORS, else the known ones. */
  readonly mirrors?: readonly string[];
  /** What to download; for tests. */
  readonly files?: readonly MnistFile[];
  /** Takes lines for people. Default standard output. */
  readonly log?: (line: string) => void;
  readonly download?: DownloadOptions;
  readonly lock?: LockOptions;
}

/** How long a trainer may be busy with this before it joins its group: as long as others may keep the lock, and its own turn. */
export const MNIST_PATIENCE_MS: number = 2 * LOCK_PATIENCE_MS;

/**
 * MNIST's two splits from the cache, verified; what is missing or damaged there is downloaded before.
 *
 * @throws DataError if it cannot be had: tells what was tried and which ways on there are
 */
export async function loadCachedMnist(options: MnistCacheOptions = {}): Promise<Splits> {
  const { folder = cacheFolder(), files = MNIST_FILES, log = console.log } = options;
  const paths = files.map(({ name }) => join(folder, `${name}.gz`));
  if (await allExist(paths)) {
    try {
      return await loadMnist(folder, { verify: 'always', files });
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      log(`${error.message}; downloading it again`);
    }
  }
  await makeFolder(folder).catch((cause: Error) => {
    throw new DataError(
      `${folder}: cannot be made: ${cause.message}; name another folder by GRADWIRE_CACHE, or use --data DIR`,
      { cause },
    );
  });
  const lock = join(folder, 'lock');
  await withFileLock(lock, (signal) => fetchMissing(folder, signal, options), {
    onWait: (holder) => log(`Waiting for ${holder}, which downloads MNIST (${lock})`),
    ...options.lock,
  });
  return await loadMnist(folder, { verify: 'always', files });
}

async function fetchMissing(
  folder: string,
  signal: AbortSignal,
  options: MnistCacheOptions,
): Promise<void> {
  const { files = MNIST_FILES, mirrors = mirrorsOf(), log = console.log } = options;
  let bases = mirrors;
  let told = false;
  for (const file of files) {
    const path = join(folder, `${file.name}.gz`);
    if ((await faultOf(path, file)) === undefined) continue;
    if (!told) log(`Downloading MNIST to ${folder}`);
    told = true;
    const view: DownloadOptions['view'] = (from, total) =>
      new Progress({ label: `${file.name}.gz`, from, total, unit: BYTES, lines: 4 });
    const urls = bases.map((base) => `${base}${file.name}.gz`);
    const from = await download({ ...file, path }, urls, {
      view,
      ...options.download,
      signal,
    }).catch((error: Error) => {
      throw error instanceof DownloadError ? outOfReach(error, files) : error;
    });
    // The other files come from where this one came from, if they can.
    const found = bases[urls.indexOf(from)] as string;
    bases = [found, ...bases.filter((base) => base !== found)];
  }
}

function outOfReach({ failures }: DownloadError, files: readonly MnistFile[]): DataError {
  const names = files.map(({ name }) => `${name}.gz`).join(', ');
  return new DataError(
    [
      'MNIST cannot be downloaded:',
      ...failures.map((failure) => `  ${failure}`),
      `  Go on with --data DIR, a folder with ${names},`,
      '  or with --data digits, which needs no network.',
    ].join('\n'),
  );
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The folder of MNIST in the user's cache. */
export function cacheFolder(env: Environment = process.env): string {
  const { GRADWIRE_CACHE: own = '', XDG_CACHE_HOME: xdg = '' } = env;
  if (own !== '') return join(own, 'mnist');
  // As its specification has it, a relative path does not count.
  return join(isAbsolute(xdg) ? xdg : join(homedir(), '.cache'), 'gradwire', 'mnist');
}

/** The mirrors of the environment, else the known ones. @throws DataError if one is no address of the web */
export function mirrorsOf(env: Environment = process.env): readonly string[] {
  const given = (env['GRADWIRE_MNIST_MIRRORS'] ?? '').split(',').map((text) => text.trim());
  const mirrors = given.filter((text) => text !== '').map(checkMirror);
  return mirrors.length > 0 ? mirrors : MNIST_MIRRORS;
}

function checkMirror(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  // It may be a password that is out of place: not repeated.
  if (url !== undefined && `${url.username}${url.password}` !== '') {
    throw new DataError('GRADWIRE_MNIST_MIRRORS: an address with a user name cannot be used');
  }
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:') {
    throw new DataError(`GRADWIRE_MNIST_MIRRORS: '${text}' is no http or https address`);
  }
  return text.endsWith('/') ? text : `${text}/`;
}

/** With the folders around it. (Node's own way never ends where one cannot be made for want of its parent, as in /proc.) */
async function makeFolder(path: string): Promise<void> {
  const make = (): Promise<void> =>
    mkdir(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  await make().catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT' || dirname(path) === path) throw error;
    await makeFolder(dirname(path));
    await make();
  });
}

async function allExist(paths: readonly string[]): Promise<boolean> {
  return await Promise.all(paths.map((path) => access(path))).then(
    () => true,
    () => false,
  );
}
