import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { summarize } from '../../bench/harness.ts';
import { machineLine, table } from '../../bench/report.ts';

const MAIN = fileURLToPath(new URL('../../bench/main.js', import.meta.url));

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function bench(...args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [MAIN, ...args], (_error, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    );
  });
}

test('what cannot be run is one line and exit code 2, before anything is measured', async () => {
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [['nope'], /^no suite nope: there are tutorial, autograd, rpc\n$/],
    [['rpc', '--rounds', '0'], /^--rounds is 0, expected a whole number of at least 1\n$/],
    [['--bogus'], /^Unknown option '--bogus'.*\n$/],
    [['--peer-script', 'x.py'], /^--peer-script and --data go together\n$/],
  ];
  for (const [args, message] of wrong) {
    const { code, stdout, stderr } = await bench(...args);
    expect(stderr).toMatch(message);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  }
});

test('--help names the suites and flags', async () => {
  const { code, stdout } = await bench('--help');
  expect(code).toBe(0);
  for (const word of ['tutorial', 'autograd', 'rpc', '--json', '--rounds', '--peer-script']) {
    expect(stdout).toContain(word);
  }
});

test('the table has a line for each figure and says which target is missed', () => {
  const text = table([
    summarize('rpc.calls', '1/s', [12345, 12346, 12347]),
    summarize('autograd.tapeCost', 'x', [1.2], { most: 1.05 }),
    summarize('tutorial.overLocalStep', 'x', [0.95], { least: 0.9 }),
  ]);
  const lines = text.trimEnd().split('\n');
  expect(lines).toHaveLength(4);
  expect(lines[1]).toMatch(/^rpc\.calls +1\/s +12346 +12345 +12347 +0 % +3$/);
  expect(lines[2]).toMatch(/1\.20 +1\.20 +1\.20 +0 % +1 {2}<= 1\.05 missed$/);
  expect(lines[3]).toMatch(/>= 0\.9$/);
});

test('the machine is one line with cores, Node and load', () => {
  expect(machineLine()).toMatch(
    /^\d+ cores \(.+\), Node v\d+\S+, load [\d.]+ [\d.]+ [\d.]+ at start$/,
  );
});
