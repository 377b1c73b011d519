import { expect, test } from '@jest/globals';
import { CliRun, expectGone, RANK_SCRIPT, standalone, until } from '../support/cli.ts';

/** A run of the fixture over `n` ranks. */
function start(n: number, ...args: string[]): CliRun {
  return new CliRun(standalone(n, RANK_SCRIPT, ...args));
}

interface Seen {
  readonly env: Readonly<Record<string, string>>;
  readonly args: readonly string[];
  readonly flags: readonly string[];
}

test('each rank gets the variables of torchrun, its arguments and the flags of Node', async () => {
  const flag = '--disallow-code-generation-from-strings';
  const args = ['env', '-n', '9', '--', '--standalone'];
  await using run = new CliRun(standalone(2, '--', RANK_SCRIPT, ...args), {
    flags: [flag],
    env: { GRADWIRE_TTY: '1', GRADWIRE_TOKEN: 'of an outer run' },
  });
  expect(await run.code()).toBe(0);
  const lines = run.stdout.trimEnd().split('\n').sort();
  const seen = lines.map((line): Seen => JSON.parse(line.slice('[0] '.length)));
  expect(lines.map((line) => line.slice(0, 4))).toEqual(['[0] ', '[1] ']);
  seen.forEach(({ env, args: got, flags }, rank) => {
    expect(env).toMatchObject({
      RANK: String(rank),
      LOCAL_RANK: String(rank),
      GROUP_RANK: '0',
      ROLE_RANK: String(rank),
      WORLD_SIZE: '2',
      LOCAL_WORLD_SIZE: '2',
      ROLE_WORLD_SIZE: '2',
      TORCHELASTIC_RESTART_COUNT: '0',
      TORCHELASTIC_MAX_RESTARTS: '0',
      TORCHELASTIC_RUN_ID: expect.stringMatching(/^\d{8}T\d{6}Z-[0-9a-f]{6}$/),
      MASTER_ADDR: '127.0.0.1',
      MASTER_PORT: expect.stringMatching(/^\d+$/),
      GRADWIRE_TOKEN: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(env).not.toHaveProperty('GRADWIRE_TTY');
    expect(got).toEqual(args.slice(1));
    expect(flags).toEqual([flag]);
  });
  const shared = ['MASTER_PORT', 'GRADWIRE_TOKEN', 'TORCHELASTIC_RUN_ID'];
  const [first, second] = seen.map(({ env }) => shared.map((name) => env[name]));
  expect(first).toEqual(second);
});

test('what a rank forks is its own: no flags and no messages of the launcher are in it', async () => {
  await using run = new CliRun(standalone(1, RANK_SCRIPT, 'forks'), { flags: ['--no-warnings'] });
  expect(await run.code()).toBe(0);
  expect(run.stdout).toBe('[0] {"flags":["--no-warnings"]}\n');
});

test('lines keep their stream, progress is dropped, the result comes last and bare', async () => {
  await using run = new CliRun(standalone(3, '--result-rank', '1', RANK_SCRIPT, 'lines'));
  expect(await run.code()).toBe(0);
  const lines = run.stdout.split('\n');
  expect(lines.slice(-2)).toEqual(['last of 1', '']);
  expect(lines.slice(0, -2).sort()).toEqual([
    '[0] first of 0',
    '[0] last of 0',
    '[1] first of 1',
    '[2] first of 2',
    '[2] last of 2',
  ]);
  expect(run.stderr.trimEnd().split('\n').sort()).toEqual([
    '[0] error of 0',
    '[1] error of 1',
    '[2] error of 2',
  ]);
});

test('a job whose reader has gone ends', async () => {
  await using run = start(2, 'chatter');
  const pids = await run.pids(2);
  run.closeStdout();
  expect(await run.code()).toBe(128 + 13);
  await expectGone(pids.values());
  expect(run.stderr).toBe('');
});

test('without success the result is an ordinary line', async () => {
  await using run = new CliRun(
    standalone(2, '--result-rank', '0', RANK_SCRIPT, 'result-then-exit'),
  );
  const pid = (await run.pids(1)).get(1) as number;
  await until('rank 0 spoke', () => run.stderr.includes('[0] said it'));
  process.kill(pid, 'SIGUSR2');
  expect(await run.code()).toBe(4);
  expect(run.stdout).toContain('[0] the result\n');
});

test('a rank that ignores SIGTERM is killed after its time of grace', async () => {
  await using run = start(2, 'stubborn');
  const pids = await run.pids(2);
  process.kill(pids.get(1) as number, 'SIGUSR2');
  expect(await run.code()).toBe(3);
  expect(run.stderr).toContain('[0] not yet\n');
  await expectGone(pids.values());
});

test('SIGINT is passed on once, and ranks may end in their own way', async () => {
  await using run = start(2, 'graceful');
  const pids = await run.pids(2);
  run.kill('SIGINT');
  expect(await run.code()).toBe(128 + 2);
  expect(run.stdout).toContain('[0] saved\n');
  expect(run.stdout).toContain('[1] saved\n');
  await expectGone(pids.values());
});

test('SIGTERM ends ranks that have no handler', async () => {
  await using run = start(2, 'wait');
  const pids = await run.pids(2);
  run.kill('SIGTERM');
  expect(await run.code()).toBe(128 + 15);
  await expectGone(pids.values());
});

test('a second SIGINT kills', async () => {
  await using run = start(1, 'deaf');
  const pids = await run.pids(1);
  run.kill('SIGINT');
  await until('the first signal arrived', () => run.stdout.includes('[0] heard'));
  run.kill('SIGINT');
  expect(await run.code()).toBe(128 + 2);
  await expectGone(pids.values());
});

test.each([
  [[], 'no command given'],
  [['fly'], "no command 'fly'"],
  [['run', RANK_SCRIPT], '--standalone is required'],
  [['run', '--standalone'], 'no script given'],
  [standalone(1, 'nowhere.js'), 'no script nowhere.js'],
])('%j is refused in one line', async (args, message) => {
  await using run = new CliRun(args);
  expect(await run.code()).toBe(2);
  expect(run.stdout).toBe('');
  expect(run.stderr).toMatch(/^gradwire: [^\n]+\n$/);
  expect(run.stderr).toContain(message);
});

test('help and version go to stdout', async () => {
  await using help = new CliRun(['--help']);
  await using runHelp = new CliRun(['run', '--help']);
  await using version = new CliRun(['--version']);
  expect(await help.code()).toBe(0);
  expect(await runHelp.code()).toBe(0);
  expect(await version.code()).toBe(0);
  expect(help.stdout).toContain('gradwire run --standalone');
  expect(runHelp.stdout).toContain('--result-rank');
  expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\S*\n$/);
});
