import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { CliRun, RANK_SCRIPT, standalone, until } from '../support/cli.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gradwire-logs-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** The run of the fixture over two ranks with logs in a folder that is not there yet. */
function start(behaviour: string, ...args: string[]): CliRun {
  const logDir = join(folder, 'a', 'b');
  return new CliRun(standalone(2, '--log-dir', logDir, RANK_SCRIPT, behaviour, ...args));
}

/** What stands in the logs of the one run, as `RANK/FILE`. */
function logs(): Record<string, string> {
  const [run, ...others] = readdirSync(join(folder, 'a', 'b'));
  expect(others).toEqual([]);
  const base = join(folder, 'a', 'b', String(run));
  const names = readdirSync(base, { recursive: true, encoding: 'utf8' });
  const files = names.filter((name) => name.endsWith('.log'));
  return Object.fromEntries(files.map((name) => [name, readFileSync(join(base, name), 'utf8')]));
}

test('each rank has its files, without prefixes and without progress', async () => {
  await using run = start('lines');
  expect(await run.code()).toBe(0);
  expect(logs()).toEqual({
    '0/stdout.log': 'first of 0\nlast of 0\n',
    '0/stderr.log': 'error of 0\n',
    '1/stdout.log': 'first of 1\nlast of 1\n',
    '1/stderr.log': 'error of 1\n',
  });
  const [run_] = readdirSync(join(folder, 'a', 'b'));
  expect(run.stderr).toContain(
    `gradwire: the output of each rank is also in ${join(folder, 'a', 'b')}/${run_}/RANK/{stdout,stderr}.log\n`,
  );
});

test('a failure is in the log, and the report says where', async () => {
  await using run = start('exit', '7', '1');
  expect(await run.code()).toBe(7);
  expect(logs()['1/stderr.log']).toMatch(/^reason 1\n(.+\n)+reason 12\n$/);
  expect(run.stderr).toMatch(/^ {4}log: .+\/1\/stderr\.log$/m);
});

test('what was written is there after an interruption', async () => {
  await using run = start('graceful');
  const pids = await run.pids(2);
  run.kill('SIGINT');
  expect(await run.code()).toBe(128 + 2);
  expect(logs()['0/stdout.log']).toBe(`pid ${pids.get(0)}\nsaved\n`);
});

test('what was written is there when the launcher is killed', async () => {
  await using run = start('wait');
  const pids = await run.pids(2);
  run.kill('SIGKILL');
  await run.code();
  expect(logs()['1/stdout.log']).toBe(`pid ${pids.get(1)}\n`);
});

test('a flood is all in the log, and long lines are not cut there', async () => {
  const [count, length] = [300, 100_000];
  const args = ['--log-dir', join(folder, 'a', 'b'), RANK_SCRIPT, 'flood', `${count}`, `${length}`];
  // 60 MB of text through a heap that could not hold them.
  await using run = new CliRun(standalone(2, ...args), {
    flags: ['--max-old-space-size=32'],
    isSilent: true,
  });
  expect(await run.code()).toBe(0);
  const written = logs();
  for (const rank of ['0', '1']) {
    const lines = written[`${rank}/stdout.log`]?.split('\n');
    expect(lines).toHaveLength(count + 1);
    expect(new Set(lines)).toEqual(new Set([rank.repeat(length), '']));
  }
});

test('a folder that cannot be written is refused in one line before anything starts', async () => {
  const file = join(folder, 'file');
  writeFileSync(file, '');
  const marker = join(folder, 'marker.mjs');
  writeFileSync(
    marker,
    `import { writeFileSync } from 'node:fs'; writeFileSync('${folder}/ran', '');`,
  );
  await using run = new CliRun(standalone(1, '--log-dir', join(file, 'logs'), marker));
  expect(await run.code()).toBe(2);
  expect(run.stderr).toMatch(/^gradwire: --log-dir .+file.logs cannot be written: [^\n]+\n$/);
  expect(existsSync(join(folder, 'ran'))).toBe(false);
});

test('a disk that is full ends the log, not the job', async () => {
  // The pseudo file that is always full, in the place of a log.
  if (!existsSync('/dev/full')) return;
  const { RankLogs } = await import('../../cli/rank-logs.ts');
  const { symlinkSync, mkdirSync } = await import('node:fs');
  mkdirSync(join(folder, 'run', '0'), { recursive: true });
  symlinkSync('/dev/full', join(folder, 'run', '0', 'stdout.log'));
  const all = new RankLogs({ dir: folder, runId: 'run', worldSize: 1 });
  const said: string[] = [];
  all.onFailure = (text) => said.push(text);
  for (let i = 0; i < 3; i++) all.write(0, 'stdout', [{ kind: 'line', text: 'x' }]);
  all.write(0, 'stderr', [{ kind: 'line', text: 'y' }]);
  all.close();
  expect(said).toEqual([expect.stringMatching(/0\/stdout\.log ends here: ENOSPC/)]);
  await until('the other log is written', () => {
    return readFileSync(join(folder, 'run', '0', 'stderr.log'), 'utf8') === 'y\n';
  });
});
