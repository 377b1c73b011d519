import { expect, test } from '@jest/globals';
import { CliRun, isRunning, RANK_SCRIPT, until } from '../support/cli.ts';

const standalone = (n: number, ...args: string[]): string[] => [
  ...['run', '--standalone', '-n', String(n)],
  ...args,
];

/** A run of the fixture over `n` ranks. */
function start(n: number, ...args: string[]): CliRun {
  return new CliRun(standalone(n, RANK_SCRIPT, ...args));
}

async function expectGone(pids: Iterable<number>): Promise<void> {
  const list = [...pids];
  await until(`${list} are gone`, () => !list.some(isRunning));
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
      WORLD_SIZE: '2',
      LOCAL_WORLD_SIZE: '2',
      MASTER_ADDR: '127.0.0.1',
      MASTER_PORT: expect.stringMatching(/^\d+$/),
      GRADWIRE_TOKEN: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(env).not.toHaveProperty('GRADWIRE_TTY');
    expect(got).toEqual(args.slice(1));
    expect(flags).toContain(flag);
    const { GRADWIRE_TOKEN } = env;
    expect(flags.join(' ')).not.toContain(GRADWIRE_TOKEN);
  });
  const shared = ({ env: { MASTER_PORT, GRADWIRE_TOKEN } }: Seen) => [MASTER_PORT, GRADWIRE_TOKEN];
  expect(seen.map(shared)[0]).toEqual(seen.map(shared)[1]);
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

test('the first failure ends the others, is reported, and gives the exit code', async () => {
  await using run = start(3, 'exit', '7', '1');
  expect(await run.code()).toBe(7);
  expect(run.stderr).toContain('[1] reason 12\n');
  expect(run.stderr).toContain(
    'gradwire: rank 1 failed with exit code 7; the other ranks are stopped\n',
  );
  expect(run.stderr.match(/exit code/g)).toHaveLength(1);
});

test('the report repeats the reason if other lines came after it', async () => {
  await using run = start(2, 'steered');
  const pids = await run.pids(2);
  await until('rank 1 gave its reason', () => run.stderr.includes('[1] the reason'));
  process.kill(pids.get(0) as number, 'SIGUSR2');
  await until('rank 0 spoke', () => run.stderr.includes('[0] chatter'));
  process.kill(pids.get(1) as number, 'SIGUSR2');
  expect(await run.code()).toBe(4);
  expect(run.stderr).toContain('gradwire: rank 1 last wrote to stderr:\n    the reason\n');
});

test('a job whose reader has gone ends', async () => {
  await using run = start(2, 'chatter');
  const pids = await run.pids(2);
  run.closeStdout();
  expect(await run.code()).toBe(128 + 13);
  await expectGone(pids.values());
  expect(run.stderr).toBe('');
});

test('death by a signal is reported and gives 128 + n', async () => {
  await using run = start(2, 'kill', '0');
  expect(await run.code()).toBe(128 + 9);
  expect(run.stderr).toContain('gradwire: rank 0 was killed by SIGKILL');
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

test('ranks end when the launcher is killed', async () => {
  await using run = start(3, 'wait');
  const pids = await run.pids(3);
  run.kill('SIGKILL');
  await expectGone(pids.values());
  expect(await run.code()).toBeNull();
});

test('what a rank leaves behind ends with it', async () => {
  await using run = start(1, 'parent');
  expect(await run.code()).toBe(0);
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
