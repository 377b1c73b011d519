/** Each example with real processes: it ends well and soon, says nothing on stderr, and its last line is a good result. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { CliRun, standalone } from '../support/cli.ts';

const NO_EVAL = ['--disallow-code-generation-from-strings', '--disable-proto=throw'];

/** They take some 10 s on two idle cores; the machine of a test may be busy. */
const LIMIT_MS = 90_000;
/** Beyond what `run` takes at most. */
const PATIENCE_MS: number = LIMIT_MS + 10_000;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gradwire-examples-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function script(name: string): string {
  return fileURLToPath(new URL(`../../examples/${name}/main.js`, import.meta.url));
}

interface Run {
  /** The numbers of the last line. */
  readonly numbers: readonly number[];
  /** The records of `--json`. */
  readonly records: readonly Readonly<Record<string, unknown>>[];
  readonly stdout: string;
}

/** Runs an example to its end, within the limit; `last` matches its last line and captures numbers. */
async function run(
  name: string,
  processes: number,
  last: RegExp,
  args: readonly string[] = [],
): Promise<Run> {
  const file = join(folder, `${name}.jsonl`);
  const launch = [...standalone(processes, script(name)), ...args, '--json', file];
  await using job = new CliRun(launch, { flags: NO_EVAL });
  const late = setTimeout(() => job.kill('SIGKILL'), LIMIT_MS);
  const code = await job.code();
  clearTimeout(late);
  expect({ code, stderr: job.stderr }).toEqual({ code: 0, stderr: '' });
  const { stdout } = job;
  const line = stdout.trimEnd().split('\n').at(-1) ?? '';
  expect(line).toMatch(last);
  const numbers = (last.exec(line) ?? []).slice(1).map(Number);
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  const records = lines.map((text) => JSON.parse(text) as Record<string, unknown>);
  expect(records[0]?.['event']).toBe('start');
  expect(records.at(-1)?.['event']).toBe('end');
  return { numbers, records, stdout };
}

test(
  'rnn: the text is learnt',
  async () => {
    const last = /^\[1\] Perplexity (\d+\.\d+) in epoch 25, (\d+\.\d+) in the first$/;
    const { numbers, records } = await run('rnn', 2, last);
    const [end = Number.NaN, start = Number.NaN] = numbers;
    expect(start).toBeGreaterThan(8);
    expect(end).toBeLessThan(2);
    expect(records.filter(({ event }) => event === 'epoch')).toHaveLength(25);
  },
  PATIENCE_MS,
);

test(
  'batch-parameter-server (test_batch_updating_parameter_server): three trainers update one model',
  async () => {
    const last = /^\[0\] Loss (\d\.\d+) after 60 updates by 3 trainers, (\d\.\d+) at first$/;
    const { numbers, records } = await run('batch-parameter-server', 4, last, [
      '--iterations',
      '60',
    ]);
    const [end = Number.NaN, start = Number.NaN] = numbers;
    expect(end).toBeLessThan(start / 2);
    expect(records.at(-1)).toMatchObject({ updates: 60, seed: 1 });
    expect(records.filter(({ event }) => event === 'step')).toHaveLength(60);
  },
  PATIENCE_MS,
);

test.each([
  [100, []],
  [40, ['--batch', '--threshold', '40']],
])(
  'reinforcement-learning (test_rl_rpc): the pole is held for %d steps, %j',
  async (threshold, args) => {
    const last =
      /^\[0\] Solved: running reward (\d+\.\d) after (\d+) episodes of 2 observers, (\d+) steps$/;
    const { numbers, records } = await run('reinforcement-learning', 3, last, args);
    const [reward = Number.NaN, episodes = Number.NaN, steps = Number.NaN] = numbers;
    expect(reward).toBeGreaterThanOrEqual(threshold);
    expect(records.filter(({ event }) => event === 'episode')).toHaveLength(episodes);
    expect(records.at(-1)).toMatchObject({ total: steps });
  },
  PATIENCE_MS,
);

test(
  'pipeline: each number of splits learns the same',
  async () => {
    const last = /^\[0\] Best with (\d) splits: (\d+\.\d) images\/s, (\d+\.\d+) times those of 1$/;
    const { numbers, records, stdout } = await run('pipeline', 3, last, ['--batches', '2']);
    const [best, , gain] = numbers;
    expect([1, 2, 4, 8]).toContain(best);
    expect(gain).toBeGreaterThanOrEqual(1);
    const results = records.filter(({ event }) => event === 'split');
    expect(results.map(({ numSplits }) => numSplits)).toEqual([1, 2, 4, 8]);
    for (const { loss } of results) expect(loss).toBeCloseTo(results[0]?.['loss'] as number, 4);
    for (const n of [1, 2, 4, 8]) expect(stdout).toMatch(`number of splits = ${n}: `);
  },
  PATIENCE_MS,
);

test(
  'data-parallel: the bags are told apart, and the replicas stay equal',
  async () => {
    const last = /^\[2\] Accuracy (\d\.\d+) after 100 steps of 2 trainers, replicas are equal$/;
    const { numbers, records } = await run('data-parallel', 4, last);
    expect(numbers[0]).toBeGreaterThan(0.8);
    expect(records.filter(({ event }) => event === 'step')).toHaveLength(100);
    expect(records.at(-1)).toMatchObject({ apart: 0 });
  },
  PATIENCE_MS,
);

test('wrong use is one line, and help is said', async () => {
  for (const [args, code, said] of [
    [['--epoch', '3'], 2, /unknown flag --epoch: did you mean --epochs\?/],
    [['--epochs', '0'], 2, /--epochs is '0', expected a whole number of at least 1/],
    [['--help'], 0, /usage: node dist\/cli\/main\.js run --standalone -n 2 .*\n[\s\S]*--epochs/],
  ] as const) {
    await using job = new CliRun([...standalone(1, script('rnn')), ...args]);
    expect([await job.code(), job.stdout + job.stderr]).toEqual([
      code === 0 ? 0 : expect.any(Number),
      expect.stringMatching(said),
    ]);
    expect(job.stderr).not.toMatch(/^\s+at /m);
  }
  await using job = new CliRun(standalone(1, script('rnn')));
  expect(await job.code()).not.toBe(0);
  expect(job.stderr).toMatch(/this example takes 2 processes, not 1/);
});
