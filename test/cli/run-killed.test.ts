/** Nothing outlives its launcher, however that ends and whatever the ranks do. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { CliRun, descendants, expectGone, RANK_SCRIPT, standalone, until } from '../support/cli.ts';

function reaperOf(run: CliRun): number {
  const found = descendants(run.pid).find((pid) =>
    readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('gradwire-reaper'),
  );
  if (found === undefined) throw new Error('there is no reaper');
  return found;
}

test.each(['wait', 'blocked', 'stubborn', 'deaf', 'chatter'])(
  'ranks that %s end when the launcher is killed, with what they have started',
  async (behaviour) => {
    await using run = new CliRun(standalone(3, RANK_SCRIPT, behaviour));
    const pids = await run.pids(3);
    const all = [...descendants(run.pid), ...pids.values(), ...run.children()];
    expect(run.children()).toHaveLength(behaviour === 'blocked' ? 3 : 0);
    run.kill('SIGKILL');
    expect(await run.code()).toBeNull();
    await expectGone(all);
  },
);

test('stopped ranks end when the launcher is killed', async () => {
  await using run = new CliRun(standalone(2, RANK_SCRIPT, 'wait'));
  const pids = await run.pids(2);
  const all = descendants(run.pid);
  for (const pid of pids.values()) process.kill(pid, 'SIGSTOP');
  run.kill('SIGKILL');
  await expectGone(all);
});

test.each([[[]], [['ipc' as const]]])(
  'a rank whose launcher is gone before it comes to its script ends, with channels %j',
  async (channels) => {
    const guard = new URL('../../cli/child-guard.js?launcher=-1', import.meta.url).href;
    const rank = spawn(process.execPath, ['--import', guard, RANK_SCRIPT, 'wait'], {
      stdio: ['ignore', 'pipe', 'inherit', ...channels],
    });
    let said = '';
    rank.stdout?.on('data', (text) => {
      said += text;
    });
    expect(await once(rank, 'close')).toEqual([1, null]);
    expect(said).toBe('');
  },
);

test('without the reaper the job goes on, and ranks still notice that the launcher is gone', async () => {
  await using run = new CliRun(standalone(2, RANK_SCRIPT, 'wait'));
  const pids = await run.pids(2);
  process.kill(reaperOf(run), 'SIGKILL');
  run.kill('SIGKILL');
  await expectGone(pids.values());
});

test('a job whose reaper is killed ends as it would', async () => {
  await using run = new CliRun(standalone(2, RANK_SCRIPT, 'graceful'));
  await run.pids(2);
  const reaper = reaperOf(run);
  process.kill(reaper, 'SIGKILL');
  await expectGone([reaper]);
  run.kill('SIGINT');
  expect(await run.code()).toBe(128 + 2);
  expect(run.stdout).toContain('[1] saved\n');
});

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
  '%s to the launcher and all its group, as a terminal sends it, leaves nothing',
  async (signal) => {
    await using run = new CliRun(standalone(2, RANK_SCRIPT, 'wait'), { isGroup: true });
    await run.pids(2);
    const all = descendants(run.pid);
    process.kill(-run.pid, signal);
    const number = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 }[signal];
    expect(await run.code()).toBe(128 + number);
    await expectGone(all);
  },
);

test('the end of a job leaves nothing, also of what failed', async () => {
  await using run = new CliRun(standalone(2, RANK_SCRIPT, 'blocked'));
  const pids = await run.pids(2);
  const all = [...descendants(run.pid), ...run.children()];
  process.kill(pids.get(1) as number, 'SIGKILL');
  expect(await run.code()).toBe(128 + 9);
  await expectGone(all);
});

test('what a rank leaves behind ends with it', async () => {
  await using run = new CliRun(standalone(1, RANK_SCRIPT, 'parent'));
  expect(await run.code()).toBe(0);
});

test('a process that left its group and holds the output does not keep the job', async () => {
  await using run = new CliRun(standalone(1, RANK_SCRIPT, 'deserted'));
  expect(await run.code()).toBe(0);
  expect(run.children()).toHaveLength(1);
});

test('a signal right at the start leaves nothing', async () => {
  await using run = new CliRun(standalone(4, RANK_SCRIPT, 'wait'));
  await until('the first rank is started', () => descendants(run.pid).length > 1);
  const early = descendants(run.pid);
  run.kill('SIGTERM');
  expect(await run.code()).toBe(128 + 15);
  await expectGone([...early, ...(await run.pids(0)).values()]);
});
