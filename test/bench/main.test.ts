import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from '@jest/globals';
import { until } from '../support/until.ts';

const MAIN = fileURLToPath(new URL('../../bench/main.js', import.meta.url));

const folder = mkdtempSync(join(tmpdir(), 'gradwire-test-bench-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function bench(...args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [MAIN, ...args],
      { timeout: 100_000 },
      (_error, stdout, stderr) => resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    );
  });
}

test('what cannot be run is one line and exit code 2, before anything is measured', async () => {
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [['nope'], /^no suite nope: there are tutorial, autograd, rpc, faults\n$/],
    [['rpc', '--rounds', '0'], /^--rounds is 0, expected a whole number of at least 1\n$/],
    [['--bogus'], /^Unknown option '--bogus'.*\n$/],
    [['--no-peer', '--peer', 'python3'], /^--peer and --no-peer exclude each other\n$/],
    [['--json', join(folder, 'no', 'x.json')], /^--json .+ cannot be written: .+\n$/],
  ];
  for (const [args, message] of wrong) {
    const { code, stdout, stderr } = await bench(...args);
    expect(stderr).toMatch(message);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  }
});

test('a folder without data is one line', async () => {
  const { code, stderr } = await bench('tutorial', '--no-peer', '--data', join(folder, 'no'));
  expect(stderr).toMatch(/: no such folder\n$/);
  expect(code).toBe(2);
});

test('--help names the suites and flags', async () => {
  const { code, stdout } = await bench('--help');
  expect(code).toBe(0);
  for (const word of [
    'tutorial',
    'autograd',
    'rpc',
    'faults',
    '--json',
    '--rounds',
    '--peer',
    '--data',
  ]) {
    expect(stdout).toContain(word);
  }
});

test('without the peer a suite runs, says so, and its JSON has neither peer nor ratio', async () => {
  const file = join(folder, 'figures.json');
  const { code, stdout, stderr } = await bench(
    ...['autograd', '--rounds', '1', '--peer', '/nonexistent', '--json', file],
  );
  expect(code).toBe(0);
  expect(stderr).toMatch(/^(autograd: .+\n)+$/);
  expect(stdout).toMatch(
    /^no peer: \/nonexistent cannot import torch \(.+\); install .*python3-torch.*--peer PYTHON$/m,
  );
  expect(stdout).toMatch(/^load [\d.]+ at the end$/m);
  const figures: readonly Record<string, unknown>[] = JSON.parse(readFileSync(file, 'utf8'));
  expect(figures.map(({ name }) => name)).toEqual([
    'autograd.roundtrip',
    'autograd.tape.step',
    'autograd.contexts',
  ]);
  const [roundtrip, step, contexts] = figures;
  expect(roundtrip).toMatchObject({ unit: 'ms', peer: null, ratio: null });
  // Held against the same engine, which is always there.
  expect(step).toMatchObject({ peer: expect.any(Number), ratio: expect.any(Number) });
  expect(contexts).toMatchObject({ unit: 'tensors', value: 0, peer: null, ratio: null });
  for (const { conditions } of figures) {
    expect(conditions).toMatchObject({
      cores: expect.any(Number),
      node: process.version,
      engine: expect.any(String),
      rounds: 1,
    });
  }
}, 120_000);

test('Ctrl-C ends what was started too', async () => {
  const main = spawn(process.execPath, [MAIN, 'rpc', '--no-peer'], {
    // A group of its own, whose processes can be told from all others.
    detached: true,
    stdio: 'ignore',
  });
  const pid = main.pid as number;
  const ended = new Promise((resolve) => main.once('exit', (code) => resolve(code)));
  const pids = (): string => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  try {
    // Elsewhere there is no such list, and the signal may come before the other process.
    if (process.platform === 'linux') await until(() => pids() !== '', 20_000);
    process.kill(pid, 'SIGINT');
    // The code of a handler, or the signal before there is one.
    expect([130, null]).toContain(await ended);
    await until(() => isGone(-pid));
  } finally {
    if (!isGone(-pid)) process.kill(-pid, 'SIGKILL');
  }
});

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}
