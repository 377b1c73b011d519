/**
 * Fetches one file whose content is known beforehand, from the first of several addresses that has it. The file appears under
 * its name only when it is whole and verified; until then `.part` holds what has come, and the next attempt goes on from
 * there. Every wait has a bound. Needs the part file for itself: the caller holds a lock. Knows nothing of data sets.
 */
import { open, rename, rm, stat } from 'node:fs/promises';
import { DataError, faultOf, type KnownContent } from './data-file.ts';

/** What is wanted, and where it goes. */
export interface Target extends KnownContent {
  readonly path: string;
}

/** Shows one transfer. */
export interface TransferView {
  update(bytes: number): void;
  end(): void;
}

export interface DownloadOptions {
  /** Default Node's own. */
  readonly fetch?: typeof fetch;
  /** How long an address may take until it begins to answer, redirects included. Default 10,000. */
  readonly connectMs?: number;
  /** How long no byte may come. Default 30,000. */
  readonly stallMs?: number;
  /** Ends the download; what has come stays for the next one. */
  readonly signal?: AbortSignal;
  /** Called when bytes begin to come: how many were there before, and how many there will be, Infinity if not known. */
  readonly view?: (from: number, total: number) => TransferView;
}

/** No address has the file; says why for each. */
export class DownloadError extends DataError {
  /** A line for each address. */
  readonly failures: readonly string[];

  constructor(path: string, failures: readonly string[]) {
    super([`${path}: cannot be downloaded`, ...failures].join('\n  '));
    this.failures = failures;
  }
}

/** Transfers from one address: a connection that breaks is taken up again. */
const ATTEMPTS = 5;

/** What a packed file may be longer than its content. */
const PACKING_BYTES = 64 * 1024;

/** This address is no good; the message says why in a few words. */
class MirrorError extends Error {}

/**
 * Fetches `target` from the first of `urls` that has it.
 *
 * @returns that address
 * @throws DownloadError if none has it, DataError if the file cannot be written, the reason of `signal`
 */
export async function download(
  target: Target,
  urls: readonly string[],
  options: DownloadOptions = {},
): Promise<string> {
  const failures: string[] = [];
  for (const url of urls) {
    const failure = await fetchFrom(url, target, options);
    if (failure === undefined) return url;
    failures.push(`${url}: ${failure}`);
  }
  throw new DownloadError(target.path, failures);
}

/** @returns why there is no file, or undefined: there is */
async function fetchFrom(
  url: string,
  target: Target,
  options: DownloadOptions,
): Promise<string | undefined> {
  const part = `${target.path}.part`;
  let failure = '';
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const before = await sizeOf(part);
    let resumed: boolean;
    try {
      resumed = await transfer(url, part, { from: before, target, options });
    } catch (error) {
      options.signal?.throwIfAborted();
      if (error instanceof DataError) throw error;
      failure = reasonOf(error);
      // Asked again only if it brought something.
      if ((await sizeOf(part)) > before) continue;
      return failure;
    }
    const fault = await faultOf(part, target);
    options.signal?.throwIfAborted();
    if (fault === undefined) {
      await local(target.path, () => rename(part, target.path));
      return undefined;
    }
    await local(part, () => rm(part));
    failure = `what it sent is not the file: ${fault}`;
    // The beginning may have been another mirror's, which packed the file in another way.
    if (!resumed) return failure;
  }
  return failure;
}

interface Transfer {
  /** Bytes in the part file. */
  readonly from: number;
  readonly target: Target;
  readonly options: DownloadOptions;
}

/** Adds to the part file what the address has. @returns whether it went on from what was there */
async function transfer(
  url: string,
  part: string,
  { from, target, options }: Transfer,
): Promise<boolean> {
  const { connectMs = 10_000, stallMs = 30_000, view, signal } = options;
  using watch = new Watch(signal);
  watch.expect(connectMs, `no answer within ${connectMs / 1000} s`);
  const response = await (options.fetch ?? fetch)(url, {
    // Unpacked on its way, the bytes would not be those that a range counts.
    headers: { 'accept-encoding': 'identity', ...(from > 0 ? { range: `bytes=${from}-` } : {}) },
    signal: watch.signal,
  });
  // Nothing comes after what is there: it may be the whole file.
  if (from > 0 && response.status === 416) return true;
  const resumed = from > 0 && response.status === 206;
  if (!resumed && response.status !== 200) {
    throw new MirrorError(`HTTP ${response.status} ${response.statusText}`.trimEnd());
  }
  const { headers } = response;
  if (resumed && (headers.has('content-encoding') || rangeStart(headers) !== from)) {
    // What it sends does not fit to what is there.
    return await transfer(url, part, { from: 0, target, options });
  }
  if (response.body === null) throw new MirrorError('sends nothing');
  const start = resumed ? from : 0;
  const length = Number(headers.get('content-length') ?? Number.NaN);
  const transferView = view?.(start, start + (length || Number.POSITIVE_INFINITY));
  const file = await local(part, () => open(part, resumed ? 'a' : 'w'));
  try {
    let done = start;
    const stalled = `no byte for ${stallMs / 1000} s`;
    watch.expect(stallMs, stalled);
    for await (const chunk of response.body) {
      done += chunk.length;
      await write(part, () => file.writeFile(chunk));
      watch.expect(stallMs, stalled);
      transferView?.update(done);
      // This is not the file, and may have no end.
      if (done > target.bytes + PACKING_BYTES) break;
    }
    await write(part, () => file.sync());
  } finally {
    await file.close();
    transferView?.end();
  }
  return resumed;
}

/** Where the bytes of a partial answer begin. */
function rangeStart(headers: Headers): number | undefined {
  const [, start] = /^bytes (\d+)-/.exec(headers.get('content-range') ?? '') ?? [];
  return start === undefined ? undefined : Number(start);
}

/** Ends a request when what is expected of it does not come in time. */
class Watch implements Disposable {
  readonly #own = new AbortController();
  readonly signal: AbortSignal;
  #timer: NodeJS.Timeout | undefined;

  constructor(outer: AbortSignal | undefined) {
    this.signal =
      outer === undefined ? this.#own.signal : AbortSignal.any([outer, this.#own.signal]);
  }

  expect(ms: number, otherwise: string): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#own.abort(new MirrorError(otherwise)), ms);
  }

  /** Also gives the connection back whose body nobody has read. */
  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#own.abort();
  }
}

async function sizeOf(path: string): Promise<number> {
  return await stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

/** Does something to the disk. @throws DataError that names the file */
async function local<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    throw new DataError(`${path}: cannot be written: ${(cause as Error).message}`, { cause });
  }
}

/** Like `local`; the space that a full disk is short of is given back. */
async function write(part: string, action: () => Promise<void>): Promise<void> {
  try {
    await local(part, action);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}

/** Codes of a connection that fails, in words. */
const CODES: Readonly<Record<string, string>> = {
  ENOTFOUND: 'host not found',
  EAI_AGAIN: 'host not found, no network?',
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection cut',
  EPIPE: 'connection cut',
  ENETUNREACH: 'no network',
  EHOSTUNREACH: 'host not reachable',
  ETIMEDOUT: 'no answer',
  UND_ERR_SOCKET: 'connection cut',
  UND_ERR_CONNECT_TIMEOUT: 'no answer',
};

/** Why a request failed: `fetch` hides it in causes. */
function reasonOf(error: unknown): string {
  if (error instanceof MirrorError) return error.message;
  const { message, cause } = error as Error;
  if (cause === undefined || cause === null) return message;
  const { code, message: detail } = cause as NodeJS.ErrnoException;
  const words = code === undefined ? undefined : CODES[code];
  return words === undefined ? detail || message : `${words} (${code})`;
}
