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

interface Memory {
  readonly iteration: number;
  readonly trainerTensors: number;
  readonly serverTensors: number;
}

/** The records of `--json`, as far as they are looked at here. */
interface Line extends Partial<Memory> {
  readonly event: string;
  readonly loss?: number;
}

interface End extends Line {
  readonly firstLoss: number;
  readonly lastLoss: number;
  readonly iterationsPerSecond: number;
  readonly trainers: {
    readonly rank: number;
    readonly iterations: number;
    readonly iterationsPerSecond: number;
    readonly losses: number[];
    readonly memory: Memory[];
  }[];
}

/** The records that a job has written, and the last of them. */
async function runJob(processes: number, args: readonly string[]): Promise<[Line[], End]> {
  const file = join(folder, `${processes}.jsonl`);
  const launch = ['run', '--standalone', '-n', String(processes), '--result-rank', '1', SCRIPT];
  await using job = new CliRun([...launch, ...args, '--json', file], { flags: NO_EVAL });
  const code = await job.code();
  expect({ code, stderr: job.stderr }).toEqual({ code: 0, stderr: '' });
  expect(job.stdout.trimEnd().split('\n').at(-1)).toMatch(/^Accuracy 0\.\d{4}$/);
  const [nothing, ...lines] = readFileSync(file, 'utf8').split('\n').reverse();
  expect(nothing).toBe('');
  const records = lines.reverse().map((line) => JSON.parse(line) as Line);
  return [records, records.at(-1) as End];
}

test.each([2, 4])(
  '%d trainers update one server at once: no step fails, memory is flat, the loss falls',
  async (trainerCount) => {
    const args = ['--iterations', '35', '--batch-size', '16', '--seed', '3'];
    const [records, end] = await runJob(trainerCount + 1, args);
    const { trainers } = end;
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
    expect(end.lastLoss).toBeLessThan(end.firstLoss);
    expect(end).toMatchObject({
      event: 'end',
      data: 'generated digits, seed 3',
      worldSize: trainerCount + 1,
      seed: 3,
      accuracy: expect.any(Number),
      engine: 'wasm',
      threads: expect.any(Number),
    });
    const rates = trainers.map(({ iterationsPerSecond }) => iterationsPerSecond);
    expect(end.iterationsPerSecond).toBeCloseTo(rates.reduce((sum, rate) => sum + rate));
    // Rank 1 told of its way while it went.
    expect(records[0]).toMatchObject({ event: 'start', seed: 3, iterations: 35 });
    const steps = records.filter(({ event }) => event === 'step');
    expect(steps.map(({ iteration }) => iteration)).toEqual([0, 5, 10, 15, 20, 25, 30]);
    expect(steps.map(({ loss }) => loss)).toEqual(trainers[0]?.losses);
    const memory = records.filter(({ event }) => event === 'memory');
    expect(memory).toMatchObject(trainers[0]?.memory ?? []);
  },
  180_000,
);

test('without a network the ways on are said', async () => {
  const stderr = await failure(['--rank', '1', '--world-size', '2', '--data', 'mnist'], {
    GRADWIRE_CACHE: folder,
    GRADWIRE_MNIST_MIRRORS: 'http://nowhere.invalid/',
  });
  expect(stderr).toMatch(/MNIST cannot be downloaded:/);
  expect(stderr).toMatch(/nowhere\.invalid\S+: host not found/);
  expect(stderr).toMatch(/--data DIR/);
  expect(stderr).toMatch(/--data digits/);
  expect(stderr).not.toMatch(/^\s+at /m);
});

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
