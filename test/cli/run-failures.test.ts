/** What the launcher says of ranks that fail, and how long the others live. */
import { hostname } from 'node:os';
import { expect, test } from '@jest/globals';
import { CliRun, expectGone, fixture, RANK_SCRIPT, standalone, until } from '../support/cli.ts';

const REMOTE_SCRIPT = fixture('rank-remote');
const host = hostname().replaceAll('.', '\\.');
/** A line of the report that says where and when. */
const origin = (who: string): string =>
  `    ${who}pid \\d+ on ${host}, \\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z\n`;

test('the first failure ends the others, is reported, and gives the exit code', async () => {
  await using run = new CliRun(standalone(3, RANK_SCRIPT, 'exit', '7', '1'));
  expect(await run.code()).toBe(7);
  expect(run.stderr).toContain('[1] reason 12\n');
  expect(run.stderr).toMatch(
    new RegExp(`^gradwire: rank 1 failed with exit code 7\n${origin('')}`, 'm'),
  );
  expect(run.stderr).toMatch(/\ngradwire: stopping ranks 0, 2\n$/);
  expect(run.stderr.match(/exit code/g)).toHaveLength(1);
});

test('the report repeats the reason if other lines came after it', async () => {
  await using run = new CliRun(standalone(2, RANK_SCRIPT, 'steered'));
  const pids = await run.pids(2);
  await until('rank 1 gave its reason', () => run.stderr.includes('[1] the reason'));
  process.kill(pids.get(0) as number, 'SIGUSR2');
  await until('rank 0 spoke', () => run.stderr.includes('[0] chatter'));
  process.kill(pids.get(1) as number, 'SIGUSR2');
  expect(await run.code()).toBe(4);
  expect(run.stderr).toContain('    last lines on stderr:\n        the reason\n');
});

test('death by a signal is reported and gives 128 + n', async () => {
  await using run = new CliRun(standalone(2, RANK_SCRIPT, 'kill', '0'));
  expect(await run.code()).toBe(128 + 9);
  expect(run.stderr).toContain('gradwire: rank 0 was killed by SIGKILL\n');
});

test('an error that came from another worker is shown with its stack there', async () => {
  await using run = new CliRun(standalone(2, REMOTE_SCRIPT, 'throws'));
  expect(await run.code()).toBe(1);
  const report = run.stderr.slice(run.stderr.indexOf('gradwire: '));
  expect(report).toMatch(
    new RegExp(
      [
        'gradwire: rank 1 failed with exit code 1\n',
        origin('worker trainer1, '),
        '    error: remote_error: RangeError: too much \\(thrown by throws on server\\)\n',
        '    stack on server:\n',
        '        RangeError: too much\n',
        '            at .*throws .*rank-remote',
      ].join(''),
    ),
  );
  expect(report).toContain('gradwire: stopping rank 0\n');
});

test('who is killed comes first, who fails of it is told in a line', async () => {
  await using run = new CliRun(standalone(2, REMOTE_SCRIPT, 'held'));
  const pids = await run.pids(2);
  process.kill(pids.get(0) as number, 'SIGKILL');
  expect(await run.code()).toBe(128 + 9);
  expect(run.stderr).toMatch(
    new RegExp(`^gradwire: rank 0 was killed by SIGKILL\n${origin('worker server, ')}`, 'm'),
  );
  expect(run.stderr).toMatch(
    /^gradwire: rank 1 \(trainer1\) then failed with exit code 1: unavailable: .*server.*$/m,
  );
  expect(run.stderr).not.toContain('stopping');
});

test('what a rank does with its errors stays as it is', async () => {
  await using run = new CliRun(standalone(1, RANK_SCRIPT, 'caught'));
  expect(await run.code()).toBe(6);
  expect(run.stdout).toBe('');
  expect(run.stderr).toMatch(
    new RegExp(
      [
        '^\\[0\\] dealt with the odd one\n',
        'gradwire: rank 0 failed with exit code 6\n',
        origin(''),
        '    error: RangeError: the odd one\n$',
      ].join(''),
    ),
  );
});

test('a rank that notices nothing and ignores SIGTERM is killed', async () => {
  await using run = new CliRun(standalone(2, RANK_SCRIPT, 'stubborn'));
  const pids = await run.pids(2);
  process.kill(pids.get(1) as number, 'SIGUSR2');
  expect(await run.code()).toBe(3);
  expect(run.stderr).toContain('[0] not yet\n');
  await expectGone(pids.values());
});
