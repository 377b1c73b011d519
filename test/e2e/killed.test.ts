/**
 * A process of the tutorial is killed in the middle of the training: every other one says so by name and ends with a
 * failure, and nothing is left, under the launcher and by hand.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { CliRun, descendants, expectGone, fixture, standalone, until } from '../support/cli.ts';

const SCRIPT = fileURLToPath(new URL('../../examples/parameter-server/main.js', import.meta.url));
/** Long enough that nobody is done when somebody is killed. */
const JOB = ['--iterations', '200', '--batch-size', '4'];
const NAMES = ['parameter_server', 'trainer1', 'trainer2'] as const;
const START_LIMIT_MS = 60_000;
const LIMIT_MS = 120_000;

/** Whether both trainers have said how far they are. */
function isTraining(stdout: string): boolean {
  return [1, 2].every((rank) => new RegExp(`trainer${rank}\\b.* \\d+/200`).test(stdout));
}

test.each([0, 2])(
  'under the launcher: kill -9 of rank %d',
  async (victim) => {
    const name = NAMES[victim] as string;
    await using run = new CliRun(standalone(3, SCRIPT, ...JOB), {
      flags: ['--import', fixture('say-pid')],
    });
    const pids = await run.pids(3);
    await until('both train', () => isTraining(run.stdout), START_LIMIT_MS);
    const all = descendants(run.pid);
    process.kill(pids.get(victim) as number, 'SIGKILL');
    expect(await run.code()).toBe(128 + 9);
    await expectGone(all);
    expect(run.stderr).toContain(`gradwire: rank ${victim} was killed by SIGKILL\n`);
    // Each by itself: the launcher had nobody to stop.
    expect(run.stderr).not.toContain('gradwire: stopping');
    for (const rank of [0, 1, 2].filter((one) => one !== victim)) {
      expect(run.stderr).toMatch(new RegExp(`^\\[${rank}\\] .*\\b${name}\\b`, 'm'));
      const consequence = `^gradwire: rank ${rank}\\b.* then failed with exit code \\d+: .*\\b${name}\\b`;
      expect(run.stderr).toMatch(new RegExp(consequence, 'm'));
    }
  },
  LIMIT_MS,
);

/** A process that somebody has started in a terminal. */
class ByHand implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;
  stdout = '';
  stderr = '';

  constructor(rank: number, port: number) {
    const at = ['--world-size', '3', '--rank', String(rank), '--master-port', String(port)];
    this.#child = spawn(process.execPath, [SCRIPT, ...JOB, ...at], {
      env: { ...process.env, GRADWIRE_TOKEN: 'of-this-test', GRADWIRE_TTY: '' },
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

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** The exit code, once all output has arrived. */
  async code(): Promise<number | null> {
    await this.#closed;
    return this.#child.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
    await this.#closed;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

test.each([0, 2])(
  'by hand: kill -9 of rank %d',
  async (victim) => {
    const name = NAMES[victim] as string;
    const port = await freePort();
    await using server = new ByHand(0, port);
    await using trainer1 = new ByHand(1, port);
    await using trainer2 = new ByHand(2, port);
    const ranks = [server, trainer1, trainer2];
    await until('both train', () => isTraining(trainer1.stdout + trainer2.stdout), START_LIMIT_MS);
    ranks[victim]?.kill();
    await until('all have ended', () => ranks.every(({ hasEnded }) => hasEnded));
    for (const rank of ranks.filter((_, i) => i !== victim)) {
      expect(await rank.code()).toBeGreaterThan(0);
      expect(rank.stderr).toMatch(new RegExp(`\\b${name}\\b`));
    }
  },
  LIMIT_MS,
);
