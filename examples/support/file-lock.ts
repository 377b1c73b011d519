/**
 * A lock between processes: a file that only one can create, with the process that did. A holder that is gone, or has not
 * shown for a while that it lives, is passed over. Knows nothing of what the lock is for.
 */
import { randomUUID } from 'node:crypto';
import { readlinkSync } from 'node:fs';
import { open, readFile, rm, stat, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { DataError } from './data-file.ts';

export interface LockOptions {
  /** Called once if the lock must be waited for, with who has it: `process 12 on HOST`. */
  readonly onWait?: (holder: string) => void;
  /** How long to wait for holders that live. Default 30 minutes. */
  readonly patienceMs?: number;
  /** A holder on another host is gone if it shows nothing for this long. Default 30,000. */
  readonly staleMs?: number;
  /** How often a holder shows that it lives. Default 5,000. */
  readonly refreshMs?: number;
  /** How often to look whether the lock is free. Default 200. */
  readonly pollMs?: number;
  /** A clock in milliseconds. Default `performance.now`. */
  readonly now?: () => number;
  /** Default a timer. */
  readonly sleep?: (ms: number) => Promise<unknown>;
}

/** Default of how long a lock is waited for. */
export const LOCK_PATIENCE_MS: number = 30 * 60_000;

/** Who created a lock. */
interface Holder {
  readonly pid: number;
  readonly host: string;
  /** Of this one holding: a process may hold the lock many times. */
  readonly id: string;
}

/** A lock file as it was found. */
interface Found {
  readonly holder: Holder | undefined;
  /** Changes whenever the holder shows that it lives, or is another one. */
  readonly stamp: string;
}

/**
 * Runs `work` while this process holds the lock file `path`. The signal tells that the lock was lost: this process was held
 * up for so long that another one took it for dead.
 *
 * @throws DataError if the file cannot be written, or others keep it for longer than `patienceMs`; what `work` throws
 */
export async function withFileLock<T>(
  path: string,
  work: (signal: AbortSignal) => Promise<T>,
  options: LockOptions = {},
): Promise<T> {
  const id = randomUUID();
  await acquire(path, id, options);
  const lost = new AbortController();
  const timer = setInterval(async () => {
    if (await isOurs(path, id)) await touch(path);
    else lost.abort(new DataError(`${path}: another process has taken the lock over`));
  }, options.refreshMs ?? 5000).unref();
  try {
    return await work(lost.signal);
  } finally {
    clearInterval(timer);
    if (await isOurs(path, id)) await rm(path, { force: true });
  }
}

async function isOurs(path: string, id: string): Promise<boolean> {
  const found = await look(path).catch(() => undefined);
  return found?.holder?.id === id;
}

async function acquire(path: string, id: string, options: LockOptions): Promise<void> {
  const { staleMs = 30_000, patienceMs = LOCK_PATIENCE_MS, pollMs = 200 } = options;
  const { now = () => performance.now(), sleep = delay, onWait } = options;
  const startMs = now();
  let sinceMs = startMs;
  let stamp: string | undefined;
  let told = false;
  while (!(await create(path, id))) {
    const found = await look(path);
    if (found === undefined) continue;
    if (found.stamp !== stamp) {
      stamp = found.stamp;
      sinceMs = now();
    }
    // Judged by how long it has not changed, as seen from here: the clocks of hosts differ.
    if (isGone(found.holder) || now() - sinceMs >= staleMs) {
      if (await remove(path, found, staleMs)) continue;
    } else if (!told) {
      told = true;
      onWait?.(nameOf(found.holder));
    }
    if (now() - startMs >= patienceMs) {
      throw new DataError(
        `${path}: ${nameOf(found.holder)} holds this lock, waited ${patienceMs / 1000} s`,
      );
    }
    await sleep(pollMs);
  }
}

/** @returns whether this process has made the file; false if it is there already */
async function create(path: string, id: string): Promise<boolean> {
  const holder: Holder = { pid: process.pid, host: machine(), id };
  try {
    const file = await open(path, 'wx');
    try {
      await file.writeFile(JSON.stringify(holder));
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    } finally {
      await file.close();
    }
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw new DataError(`${path}: cannot be written: ${(cause as Error).message}`, { cause });
  }
}

async function look(path: string): Promise<Found | undefined> {
  try {
    const [text, { mtimeMs }] = await Promise.all([readFile(path, 'utf8'), stat(path)]);
    return { holder: parse(text), stamp: `${mtimeMs} ${text}` };
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new DataError(`${path}: cannot be read: ${(cause as Error).message}`, { cause });
  }
}

/** Undefined while its maker is still writing, or if that died then. */
function parse(text: string): Holder | undefined {
  try {
    const { pid, host, id } = JSON.parse(text) as Partial<Holder>;
    if (!Number.isSafeInteger(pid) || typeof host !== 'string' || typeof id !== 'string') return;
    return { pid: pid as number, host, id };
  } catch {
    return undefined;
  }
}

async function touch(path: string): Promise<void> {
  const date = new Date();
  await utimes(path, date, date).catch(() => undefined);
}

/**
 * Removes a lock that was found stale, if it still is the one that was found. Two that remove at once could take each other's
 * new lock, so there is a lock for this too.
 */
async function remove(path: string, found: Found, staleMs: number): Promise<boolean> {
  const breaking = `${path}.break`;
  if (!(await create(breaking, randomUUID()))) {
    // Held for an instant only, unless its maker died in it.
    const made = await stat(breaking).catch(() => undefined);
    if (made !== undefined && Date.now() - made.mtimeMs > staleMs)
      await rm(breaking, { force: true });
    return false;
  }
  try {
    if ((await look(path))?.stamp === found.stamp) await rm(path, { force: true });
    return true;
  } finally {
    await rm(breaking, { force: true });
  }
}

/** Whether the holder was a process of this machine that runs no more. */
function isGone(holder: Holder | undefined): boolean {
  if (holder === undefined || holder.host !== machine()) return false;
  try {
    process.kill(holder.pid, 0);
    return false;
  } catch (error) {
    // Another user's process runs too.
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

/** Within which a process id means one process: containers on one host count on their own. */
function machine(): string {
  try {
    return `${hostname()} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return hostname();
  }
}

function nameOf(holder: Holder | undefined): string {
  if (holder === undefined) return 'another process';
  return `process ${holder.pid} on ${holder.host.split(' ')[0]}`;
}
