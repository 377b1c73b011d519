/**
 * Starts one rank and owns it: its process group, its output as pieces, its notes, its end. Knows nothing of the other
 * ranks.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { LineSplitter, type Piece } from './lines.ts';
import { type RankEnvSpec, rankEnv } from './rank-env.ts';
import { type RankError, readNote } from './rank-note.ts';
import type { StreamName } from './terminal.ts';

export interface RankSpec extends RankEnvSpec {
  readonly script: string;
  readonly scriptArgs: readonly string[];
}

export interface RankExit {
  readonly rank: number;
  /** Undefined if it never started. */
  readonly pid: number | undefined;
  /** Null if a signal ended it or it never started. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Why it could not be started. */
  readonly startError?: string;
  /** When the launcher saw it, milliseconds since the epoch. */
  readonly seenAtMs: number;
}

/** An exit together with what the rank itself has said. */
export interface RankEnd extends RankExit {
  /** When it failed, by its own clock, which is the launcher's; undefined if a signal ended it. */
  readonly saidAtMs: number | undefined;
  /** Names of its workers, as far as they are known. */
  readonly workers: readonly string[];
  /** The error that nobody caught. */
  readonly error: RankError | undefined;
}

export interface RankProcess {
  readonly rank: number;
  readonly pid: number | undefined;
  /** Resolves when the process is gone; its last output may still be under way. */
  readonly exited: Promise<RankExit>;
  /** Resolves when it is gone and all that it wrote and said has been handed out. */
  readonly closed: Promise<RankEnd>;
  /** Sends a signal to the rank and the processes that it started; does nothing after its end. */
  signal(name: NodeJS.Signals): void;
}

/** Takes what a rank has written. The stream is not read any further until the promise that it may give resolves. */
export type OutputListener = (
  stream: StreamName,
  pieces: readonly Piece[],
) => Promise<void> | undefined;

/** How many names of workers are kept for a rank. */
const WORKERS_LIMIT = 8;
/** Output that is silent for so long after the end of a rank is held open by a process that left its group. */
const QUIET_MS = 1000;

// The guard is compiled beside this file, or stands beside it as source where Node runs TypeScript.
const guard = new URL(
  `./child-guard${import.meta.url.slice(-3)}?launcher=${process.pid}`,
  import.meta.url,
).href;

/**
 * Starts a rank. The flags of the launcher's own Node (`process.execArgv`) are passed on. The rank is a process group of
 * its own, so that a Ctrl-C reaches it once, from the launcher, and what it leaves behind ends with it.
 */
export function startRank(spec: RankSpec, onOutput: OutputListener): RankProcess {
  const { rank } = spec;
  const child = spawn(
    process.execPath,
    [...process.execArgv, '--import', guard, spec.script, ...spec.scriptArgs],
    { env: rankEnv(spec, process.env), stdio: ['ignore', 'pipe', 'pipe', 'ipc'], detached: true },
  );
  forward(child, 'stdout', onOutput);
  forward(child, 'stderr', onOutput);
  const said = listen(child);
  const exited = new Promise<RankExit>((resolve) => {
    child.once('exit', (code, signal) => {
      signalGroup(child, 'SIGKILL');
      resolve({ rank, pid: child.pid, code, signal, seenAtMs: Date.now() });
    });
    // Also emitted where a signal could not be sent; only without a pid has the rank not started.
    child.on('error', ({ message }) => {
      if (child.pid !== undefined) return;
      const seenAtMs = Date.now();
      resolve({ rank, pid: undefined, code: null, signal: null, startError: message, seenAtMs });
    });
  });
  const closed = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
  });
  return {
    rank,
    pid: child.pid,
    exited,
    closed: Promise.all([exited, closed]).then(([exit]) => ({ ...exit, ...said() })),
    signal: (name) => {
      if (child.exitCode === null && child.signalCode === null) signalGroup(child, name);
    },
  };
}

/** The exit code that stands for the end of a rank, as shells count: 128 + n for signal n. */
export function exitCodeOf({ code, signal }: RankExit): number {
  return signal === null ? (code ?? 1) : signalExitCode(signal);
}

export function signalExitCode(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}

/** Collects the notes of a rank; the last error is the one that ended it. */
function listen(child: ChildProcess): () => Pick<RankEnd, 'saidAtMs' | 'workers' | 'error'> {
  const workers: string[] = [];
  let error: RankError | undefined;
  let exitAtMs: number | undefined;
  child.on('message', (message) => {
    const note = readNote(message);
    if (note?.gradwire === 'error') error = note.error;
    else if (note?.gradwire === 'exit') exitAtMs = note.atMs;
    else if (note !== undefined && workers.length < WORKERS_LIMIT && !workers.includes(note.name))
      workers.push(note.name);
  });
  return () => ({ saidAtMs: error?.atMs ?? exitAtMs, workers, error });
}

function forward(child: ChildProcess, name: StreamName, onOutput: OutputListener): void {
  const splitter = new LineSplitter();
  const stream = child[name];
  let isQuiet = false;
  stream?.setEncoding('utf8');
  stream?.on('data', (chunk: string) => {
    isQuiet = false;
    const room = onOutput(name, splitter.push(chunk));
    if (room === undefined) return;
    stream.pause();
    // It cannot reject.
    void room.then(() => stream.resume());
  });
  child.once('exit', () => {
    const timer = setInterval(() => {
      if (isQuiet) stream?.destroy();
      isQuiet = stream?.isPaused() === false;
    }, QUIET_MS);
    stream?.once('close', () => clearInterval(timer));
    if (stream?.closed !== false) clearInterval(timer);
  });
  stream?.once('close', () => onOutput(name, splitter.end()));
}

function signalGroup(child: ChildProcess, name: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, name);
  } catch (error) {
    // Nobody is left in the group, or none that takes signals: what was to be reached.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ESRCH' && code !== 'EPERM') throw error;
  }
}
