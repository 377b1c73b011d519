/**
 * Starts one rank and owns it: its process group, its output as pieces, its end. Knows nothing of the other ranks.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { LineSplitter, type Piece } from './lines.ts';
import type { StreamName } from './terminal.ts';

export interface RankSpec {
  readonly rank: number;
  readonly worldSize: number;
  /** Free port on loopback, the same for all ranks. */
  readonly port: number;
  /** Secret of the run. It goes through the environment only: an argument would show in every process list. */
  readonly token: string;
  readonly script: string;
  readonly scriptArgs: readonly string[];
  /** Whether the launcher's stdout is a terminal, so that live progress is worth writing. */
  readonly isTerminal: boolean;
}

export interface RankExit {
  readonly rank: number;
  /** Null if a signal ended it or it never started. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Why it could not be started. */
  readonly startError?: string;
}

export interface RankProcess {
  readonly rank: number;
  /** Resolves when the process is gone; its last output may still be under way. */
  readonly exited: Promise<RankExit>;
  /** Resolves when it is gone and all its output has been handed out. */
  readonly closed: Promise<RankExit>;
  /** Sends a signal to the rank and the processes that it started; does nothing after its end. */
  signal(name: NodeJS.Signals): void;
}

// The guard is compiled beside this file, or stands beside it as source where Node runs TypeScript.
const guard = new URL(`./child-guard${import.meta.url.slice(-3)}`, import.meta.url).href;

/**
 * Starts a rank with the environment variables of torchrun. The flags of the launcher's own Node (`process.execArgv`)
 * are passed on. The rank is a process group of its own, so that a Ctrl-C reaches it once, from the launcher, and what
 * it leaves behind ends with it.
 */
export function startRank(
  spec: RankSpec,
  onOutput: (stream: StreamName, piece: Piece) => void,
): RankProcess {
  const { rank } = spec;
  const child = spawn(
    process.execPath,
    [...process.execArgv, '--import', guard, spec.script, ...spec.scriptArgs],
    { env: rankEnv(spec), stdio: ['ignore', 'pipe', 'pipe', 'ipc'], detached: true },
  );
  forward(child, 'stdout', onOutput);
  forward(child, 'stderr', onOutput);
  const exited = new Promise<RankExit>((resolve) => {
    child.once('exit', (code, signal) => {
      signalGroup(child, 'SIGKILL');
      resolve({ rank, code, signal });
    });
    // Also emitted where a signal could not be sent; only without a pid has the rank not started.
    child.on('error', (error) => {
      if (child.pid !== undefined) return;
      resolve({ rank, code: null, signal: null, startError: error.message });
    });
  });
  const closed = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
  });
  return {
    rank,
    exited,
    closed: Promise.all([exited, closed]).then(([exit]) => exit),
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

function rankEnv(spec: RankSpec): NodeJS.ProcessEnv {
  const { GRADWIRE_TTY: _outer, ...inherited } = process.env;
  return {
    ...inherited,
    RANK: String(spec.rank),
    LOCAL_RANK: String(spec.rank),
    WORLD_SIZE: String(spec.worldSize),
    LOCAL_WORLD_SIZE: String(spec.worldSize),
    MASTER_ADDR: '127.0.0.1',
    MASTER_PORT: String(spec.port),
    GRADWIRE_TOKEN: spec.token,
    ...(spec.isTerminal ? { GRADWIRE_TTY: '1' } : {}),
  };
}

function forward(
  child: ChildProcess,
  name: StreamName,
  onOutput: (stream: StreamName, piece: Piece) => void,
): void {
  const splitter = new LineSplitter();
  const emit = (pieces: readonly Piece[]) => {
    for (const piece of pieces) onOutput(name, piece);
  };
  const stream = child[name];
  stream?.setEncoding('utf8');
  stream?.on('data', (chunk: string) => emit(splitter.push(chunk)));
  stream?.on('end', () => emit(splitter.end()));
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
