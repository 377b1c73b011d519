/** Runs the compiled command as a process of its own and leaves none behind, however the test ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../cli/main.js', import.meta.url));
/** The compiled test/fixtures/rank.ts. */
export const RANK_SCRIPT: string = fileURLToPath(new URL('../fixtures/rank.js', import.meta.url));

const WAIT_LIMIT_MS = 15_000;
const POLL_MS = 10;

/** Waits until `condition` holds; fails with what it waited for. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const limit = performance.now() + WAIT_LIMIT_MS;
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

export class CliRun implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;
  stdout = '';
  stderr = '';

  /** `gradwire ARGS…` with the flags in `flags` for its Node and `env` added to the environment. */
  constructor(
    args: readonly string[],
    { flags = [], env = {} }: { flags?: readonly string[]; env?: NodeJS.ProcessEnv } = {},
  ) {
    // Jest forces colours on its workers if it has a terminal.
    const { FORCE_COLOR: _forced, NO_COLOR: _none, ...outer } = process.env;
    this.#child = spawn(process.execPath, [...flags, main, ...args], {
      env: { ...outer, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#closed = once(this.#child, 'close');
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
  }

  /** The exit code, once all output has arrived; null if a signal ended the launcher. */
  async code(): Promise<number | null> {
    await this.#closed;
    return this.#child.exitCode;
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

  #pids(): Map<number, number> {
    const said = [...this.stdout.matchAll(/^\[(\d+)\] pid (\d+)$/gm)];
    return new Map(said.map(([, rank, pid]) => [Number(rank), Number(pid)]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    for (const pid of this.#pids().values()) if (isRunning(pid)) process.kill(pid, 'SIGKILL');
    await this.#closed;
  }
}
