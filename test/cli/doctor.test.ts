import { expect, test } from '@jest/globals';
import { findingsOf } from '../../cli/doctor-process.ts';
import { CASES } from '../../tensor/conformance/index.ts';
import { CliRun, until } from '../support/cli.ts';

/** Three processes beside the other test files. */
const SLOW_MS = 120_000;

test('doctor says what is here', async () => {
  await using run = new CliRun(['doctor'], { env: { GRADWIRE_THREADS: '2' } });
  expect(await run.code()).toBe(0);
  expect(run.stdout).toMatch(/^node +\d+\.\d+\.\d+$/m);
  expect(run.stdout).toMatch(/^tfjs +4\.22\.0$/m);
  expect(run.stdout).toMatch(/^engine wasm +✓ 2 threads$/m);
  expect(run.stdout).toMatch(/^engine cpu +✓ 1 thread$/m);
  expect(run.stderr).toBe('');
});

test('an engine that does not load is named with its reason', async () => {
  await using run = new CliRun(['doctor', '--json'], { env: { GRADWIRE_THREADS: 'many' } });
  expect(await run.code()).toBe(1);
  const { engines } = JSON.parse(run.stdout) as { engines: { engine: string; reason: string }[] };
  expect(engines.map(({ engine }) => engine)).toEqual(['wasm', 'cpu']);
  expect(engines[0]?.reason).toContain("GRADWIRE_THREADS is 'many'");
});

test(
  'doctor --grads: every case agrees on wasm with 1 and 2 threads, with finite differences and PyTorch',
  async () => {
    await using run = new CliRun(['doctor', '--grads', '--json']);
    const code = await run.code();
    const objects = run.stdout
      .trimEnd()
      .split('\n')
      .map((line): Record<string, unknown> => JSON.parse(line));
    expect(objects.filter((cells) => JSON.stringify(cells).includes('"isOk":false'))).toEqual([]);
    expect(objects.at(-1)).toEqual({ cases: CASES.length, wrong: 0, failures: [], isOk: true });
    expect(Object.keys(objects[0] ?? {})).toContain('wasm, 2 threads');
    expect(code).toBe(0);
  },
  SLOW_MS,
);

test('a signal ends doctor --grads and its processes', async () => {
  await using run = new CliRun(['doctor', '--grads']);
  await until('it has begun', () => run.stderr.includes('running all cases'));
  run.kill('SIGTERM');
  // The processes hold stderr open, so it closes with the last of them.
  expect(await run.code()).toBe(128 + 15);
  expect(run.stdout).toBe('');
});

test('a process that is not waited for is gone', async () => {
  const { cases, reason } = await findingsOf({ engine: 'cpu', threads: 1 }, AbortSignal.abort());
  expect(cases.size).toBe(0);
  expect(reason).toBe('its process ended with SIGKILL');
});

test.each([
  [['doctor', 'wasm'], "doctor takes no 'wasm'"],
  [['doctor', '--all'], 'unknown option --all'],
])('%j is refused in one line', async (args, message) => {
  await using run = new CliRun(args);
  expect(await run.code()).toBe(2);
  expect(run.stdout).toBe('');
  expect(run.stderr).toMatch(/^gradwire: [^\n]+\n$/);
  expect(run.stderr).toContain(message);
});

test('help of doctor goes to stdout', async () => {
  await using run = new CliRun(['doctor', '--help']);
  expect(await run.code()).toBe(0);
  expect(run.stdout).toContain('--grads');
});
