/** Runs the compiled command as a process of its own and leaves none behind, however the test ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../cli/main.js', import.meta.url));
/** The compiled test/fixtures/rank.ts. */
export const RANK_SCRIPT: string = fixture('rank');

const WAIT_LIMIT_MS = 15_000;
const POLL_MS = 10;

/** Another compiled script of test/fixtures/. */
export function fixture(name: string): string {
  return fileURLToPath(new URL(`../fixtures/${name}.js`, import.meta.url));
}

/** `gradwire run` over `n` ranks. */
export function standalone(n: number, ...args: readonly string[]): string[] {
  return ['run', '--standalone', '-n', String(n), ...args];
}

/** Waits until `condition` holds; fails with what it waited for. */
export async function until(
  what: string,
  condition: () => boolean,
  limitMs: number = WAIT_LIMIT_MS,
): Promise<void> {
  const limit = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > limit) throw new Error(`waited in vain: ${what}`);
    await delay(POLL_MS);
  }
}

/** Whether the process runs; one that has ended but was not yet reaped does not. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const status = `/proc/${pid}/stat`;
  return !(existsSync(status) && /\) Z /.test(readFileSync(status, 'utf8')));
}

export async function expectGone(pids: Iterable<number>): Promise<void> {
  const list = [...pids];
  await until(`${list} are gone`, () => !list.some(isRunning));
}

/** Kills a process group and its first process; does nothing where they are gone. */
function killAll(pid: number): void {
  for (const target of [-pid, pid]) {
    try {
      process.kill(target, 'SIGKILL');
    } catch {
      // Gone already.
    }
  }
}

/** All processes below one, by what the kernel says; none where it says nothing. */
export function descendants(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendants(child)]);
}

function childrenOf(pid: number): number[] {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    const lists = threads.map((id) => readFileSync(`/proc/${pid}/task/${id}/children`, 'utf8'));
    return lists.flatMap((list) => list.split(' ').filter(Boolean).map(Number));
  } catch {
    // It has ended meanwhile.
    return [];
  }
}

export interface CliOptions {
  /** For Node. */
  readonly flags?: readonly string[];
  /** Added to the environment. */
  readonly env?: NodeJS.ProcessEnv;
  /** The launcher is the first of a process group, as if a shell had started it. */
  readonly isGroup?: boolean;
  /** Its stdout goes nowhere. */
  readonly isSilent?: boolean;
  /** Its stdout is not read until `read()`. */
  readonly isUnread?: boolean;
}

export class CliRun implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;
  stdout = '';
  stderr = '';

  /** `gradwire ARGS…`. */
  constructor(
    args: readonly string[],
    { flags = [], env = {}, isGroup = false, isSilent = false, isUnread = false }: CliOptions = {},
  ) {
    // Jest forces colours on its workers if it has a terminal.
    const { FORCE_COLOR: _forced, NO_COLOR: _none, ...outer } = process.env;
    this.#child = spawn(process.execPath, [...flags, main, ...args], {
      env: { ...outer, ...env },
      stdio: ['ignore', isSilent ? 'ignore' : 'pipe', 'pipe'],
      detached: isGroup,
    });
    this.#closed = once(this.#child, 'close');
    if (!isUnread) this.read();
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
  }

  /** Reads stdout. */
  read(): void {
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
  }

  /** The exit code, once all output has arrived; null if a signal ended the launcher. */
  async code(): Promise<number | null> {
    await this.#closed;
    return this.#child.exitCode;
  }

  /** Of the launcher. */
  get pid(): number {
    return this.#child.pid as number;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Stops reading, as `gradwire … | head` does. */
  closeStdout(): void {
    this.#child.stdout?.destroy();
  }

  /** The pids that `count` waiting ranks have said, by rank. */
  async pids(count: number): Promise<Map<number, number>> {
    await until(`${count} ranks said their pid`, () => this.#pids().size >= count);
    return this.#pids();
  }

  /** The pids of processes that ranks have started and said. */
  children(): number[] {
    return [...this.stdout.matchAll(/^\[\d+\] child (\d+)$/gm)].map(([, pid]) => Number(pid));
  }

  #pids(): Map<number, number> {
    const said = [...this.stdout.matchAll(/^\[(\d+)\] pid (\d+)$/gm)];
    return new Map(said.map(([, rank, pid]) => [Number(rank), Number(pid)]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    for (const pid of [...this.#pids().values(), ...this.children()]) killAll(pid);
    await this.#closed;
  }
}
