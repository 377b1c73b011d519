/** The main job with real processes: what it prints and writes, how it fails, and that it leaves nothing behind. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { CliRun } from '../support/cli.ts';

const SCRIPT = fileURLToPath(new URL('../../examples/parameter-server/main.js', import.meta.url));
const NO_EVAL = ['--disallow-code-generation-from-strings', '--disable-proto=throw'];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gradwire-e2e-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Trainer {
  readonly rank: number;
  readonly iterations: number;
  readonly losses: number[];
  readonly memory: { iteration: number; trainerTensors: number; serverTensors: number }[];
}

async function runJob(
  processes: number,
  args: readonly string[],
): Promise<{ accuracy: number; trainers: Trainer[] }> {
  const file = join(folder, `${processes}.json`);
  const launch = ['run', '--standalone', '-n', String(processes), '--result-rank', '1', SCRIPT];
  await using job = new CliRun([...launch, ...args, '--json', file], { flags: NO_EVAL });
  const code = await job.code();
  expect({ code, stderr: job.stderr }).toEqual({ code: 0, stderr: '' });
  expect(job.stdout.trimEnd().split('\n').at(-1)).toMatch(/^Accuracy 0\.\d{4}$/);
  return JSON.parse(readFileSync(file, 'utf8'));
}

test.each([2, 4])(
  '%d trainers update one server at once: no step fails, memory is flat, the loss falls',
  async (trainerCount) => {
    const { trainers } = await runJob(trainerCount + 1, [
      '--iterations',
      '35',
      '--batch-size',
      '16',
    ]);
    expect(trainers.map(({ rank }) => rank).sort()).toEqual(
      Array.from({ length: trainerCount }, (_, i) => i + 1),
    );
    for (const { iterations, memory } of trainers) {
      expect(iterations).toBe(35);
      const [first, last] = memory;
      expect(first?.iteration).toBe(10);
      expect(last).toEqual({ ...first, iteration: 35 });
      expect(last?.serverTensors).toBe(8);
    }
    // One batch says little: its loss may be an outlier.
    const first = trainers.map(({ losses }) => losses[0] as number);
    const last = trainers.flatMap(({ losses }) => losses.slice(-2));
    expect(mean(last)).toBeLessThan(mean(first));
  },
  180_000,
);

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}

async function failure(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
  const launch = ['run', '--standalone', '-n', '1', SCRIPT, ...args];
  await using job = new CliRun(launch, { env });
  expect(await job.code()).not.toBe(0);
  return job.stderr;
}

test.each([
  [['--rank', '3', '--world-size', '3'], /--rank is 3, expected less than --world-size, 3/],
  [['--iteration', '3'], /unknown flag --iteration: did you mean --iterations\?/],
  [['--rank', '1', '--data', '/nowhere'], /\/nowhere/],
  [['--num-gpus', '3'], /--num-gpus is '3', expected a whole number of at least 0 and at most 2/],
])('wrong use is one line: %j', async (args, message) => {
  const stderr = await failure(
    ['--world-size', '2', ...args].slice(args.includes('--world-size') ? 2 : 0),
  );
  expect(stderr).toMatch(message);
  expect(stderr).not.toMatch(/^\s+at /m);
});
