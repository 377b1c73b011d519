import { EventEmitter } from 'node:events';
import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { BackPressure } from '../../cli/back-pressure.ts';
import { CliRun, RANK_SCRIPT, standalone, until } from '../support/cli.ts';

class FakeOutlet extends EventEmitter {
  writableNeedDrain = false;

  drain(): void {
    this.writableNeedDrain = false;
    this.emit('drain');
  }
}

/** What has become of a promise, once others have run. */
async function isSettled(promise: Promise<void> | undefined): Promise<boolean> {
  const open = Symbol('open');
  return (await Promise.race([promise, Promise.resolve().then(() => open)])) !== open;
}

test('there is room when all outlets have some', async () => {
  const [stdout, stderr] = [new FakeOutlet(), new FakeOutlet()];
  const pressure = new BackPressure([stdout, stderr]);
  expect(pressure.room()).toBeUndefined();
  stdout.writableNeedDrain = true;
  stderr.writableNeedDrain = true;
  const room = pressure.room();
  expect(pressure.room()).toBe(room);
  stdout.drain();
  expect(await isSettled(room)).toBe(false);
  stderr.drain();
  await room;
  expect(pressure.room()).toBeUndefined();
});

test('a reader that is gone is not waited for, and release leaves no listener', async () => {
  const [stdout, stderr] = [new FakeOutlet(), new FakeOutlet()];
  const pressure = new BackPressure([stdout, stderr]);
  stderr.on('error', () => undefined);
  stderr.writableNeedDrain = true;
  const room = pressure.room();
  stderr.emit('error');
  await room;
  expect(pressure.room()).toBeUndefined();
  stdout.writableNeedDrain = true;
  const second = pressure.room();
  pressure.release();
  await second;
  expect(pressure.room()).toBeUndefined();
  expect([stdout, stderr].map((one) => one.listenerCount('drain'))).toEqual([0, 0]);
  expect([stdout, stderr].map((one) => one.listenerCount('error'))).toEqual([0, 1]);
});

/** Bytes that a process has read so far. */
function bytesRead(pid: number): number {
  return Number(/^rchar: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1]);
}

/** Waits until a launcher reads nothing any more from ranks that have much to write. */
async function standsStill(pid: number): Promise<void> {
  const started = bytesRead(pid);
  let [last, looks] = [started, 0];
  await until('the launcher stands still', () => {
    const now = bytesRead(pid);
    looks = now === last && now > started ? looks + 1 : 0;
    last = now;
    return looks === 30;
  });
}

test('a slow reader slows the ranks, and nothing is lost', async () => {
  const [count, length] = [1000, 30_000];
  const args = [RANK_SCRIPT, 'flood', String(count), String(length)];
  // 60 MB of text; the heap of the launcher could not hold them.
  await using run = new CliRun(standalone(2, ...args), {
    flags: ['--max-old-space-size=32'],
    isUnread: true,
  });
  await standsStill(run.pid);
  run.read();
  expect(await run.code()).toBe(0);
  const lines = run.stdout.trimEnd().split('\n');
  expect(lines).toHaveLength(2 * count);
  expect(new Set(lines)).toEqual(
    new Set(['0', '1'].map((rank) => `[${rank}] ${rank.repeat(length)}`)),
  );
});

test('an interrupted job whose reader stands still ends', async () => {
  const args = [RANK_SCRIPT, 'flood', '1000', '30000'];
  await using run = new CliRun(standalone(2, ...args), { isUnread: true });
  await standsStill(run.pid);
  run.kill('SIGINT');
  await until('the launcher has said so', () => run.stderr.includes('passing SIGINT'));
  run.kill('SIGINT');
  run.read();
  expect(await run.code()).toBe(128 + 2);
});
