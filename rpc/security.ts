/**
 * Who may join a run: the token that all its workers know. A launcher hands it to its children by environment; workers
 * started by hand on one host share it through a file that only their user can read. Carries guarantee G4.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { lstatSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { GradwireError } from '../errors.ts';

/** Whether the host is this very machine: 127.0.0.0/8, ::1 or localhost. */
export function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1' || host === '[::1]') return true;
  return isIPv4(host) && host.startsWith('127.');
}

/** Equal or not, in a time that does not tell how much is equal. */
export function sameToken(given: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}

/** The token of one worker: given, or found in the file of the run's master. */
export interface TokenSource {
  /** The token as far as it is known now; undefined while the master has not written it. */
  read(): string | undefined;
  /** Whether `read` may give another value later, because a stale file is replaced. */
  readonly mayChange: boolean;
  /** Removes what the master wrote. */
  close(): void;
}

/**
 * @param given the token by option or environment; undefined: by file, which rank 0 writes
 * @param place where the folder of the user's tokens stands
 */
export function tokenSource(
  given: string | undefined,
  masterPort: number,
  isMaster: boolean,
  place: string = tmpdir(),
): TokenSource {
  if (given !== undefined) return { read: () => given, mayChange: false, close: () => {} };
  const folder = join(place, `gradwire-${userId()}`);
  const file = join(folder, `${masterPort}.token`);
  if (!isMaster) return { read: () => readToken(folder, file), mayChange: true, close: () => {} };
  const token = randomBytes(32).toString('hex');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  checkFolder(folder);
  rmSync(file, { force: true });
  writeFileSync(file, token, { mode: 0o600, flag: 'wx' });
  const close = (): void => {
    if (readToken(folder, file) === token) rmSync(file, { force: true });
  };
  return { read: () => token, mayChange: false, close };
}

function readToken(folder: string, file: string): string | undefined {
  try {
    checkFolder(folder);
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The number of this user; some users have no name. */
function userId(): number {
  return process.getuid?.() ?? userInfo().uid;
}

/** Another user must not be able to put a token of theirs where we look. */
function checkFolder(folder: string): void {
  const stat = lstatSync(folder);
  const isOurs = stat.isDirectory() && (process.platform === 'win32' || (stat.mode & 0o077) === 0);
  if (isOurs && (stat.uid === userId() || process.platform === 'win32')) return;
  throw new GradwireError(
    'unauthenticated',
    `${folder} can be changed by others: remove it, or set GRADWIRE_TOKEN for all workers`,
    { stage: 'init' },
  );
}
