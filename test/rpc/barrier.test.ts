import { expect, jest, test } from '@jest/globals';
import { type Arrival, Barriers } from '../../rpc/barrier.ts';
import { Members } from '../../rpc/members.ts';
import { AsyncSlot } from '../../tensor/index.ts';

function three(): Members {
  return new Members(
    [0, 1, 2].map((rank) => ({ name: `w${rank}`, rank, address: '', incarnation: '' })),
  );
}

function arrival(rank: number, more: Partial<Arrival> = {}): Arrival {
  const common = { key: 'k', ranks: [0, 1, 2], isTolerant: false, vote: true };
  return { ...common, timeoutMs: Number.POSITIVE_INFINITY, rank, ...more };
}

test('all go on when the last has come, and know whether all votes were true', async () => {
  const barriers = new Barriers(three());
  for (const [votes, outcome] of [
    [[true, true, true], true],
    [[true, false, true], false],
  ] as const) {
    const waiting = votes.map((vote, rank) => barriers.arrive(arrival(rank, { vote })));
    expect(await Promise.all(waiting)).toEqual([outcome, outcome, outcome]);
  }
});

test('a meeting that can no longer be fails those who wait and those who come', async () => {
  const members = three();
  const barriers = new Barriers(members);
  const first = barriers.arrive(arrival(0));
  members.markGone(2, false);
  barriers.gone(2);
  await expect(first).rejects.toThrow(/^unavailable: w2 is gone and cannot reach the barrier/);
  await expect(barriers.arrive(arrival(1))).rejects.toThrow(/^unavailable/);
  const pair = [0, 1].map((rank) => barriers.arrive(arrival(rank, { ranks: [0, 1] })));
  expect(await Promise.all(pair)).toEqual([true, true]);
});

test('a tolerant meeting does without those that are gone', async () => {
  const members = three();
  const barriers = new Barriers(members);
  const waiting = [0, 1].map((rank) => barriers.arrive(arrival(rank, { isTolerant: true })));
  members.markGone(2, true);
  barriers.gone(2);
  expect(await Promise.all(waiting)).toEqual([true, true]);
});

test('who came and died since has not come', async () => {
  const members = three();
  const barriers = new Barriers(members);
  const [dead, other] = [2, 0].map((rank) => barriers.arrive(arrival(rank)));
  members.markGone(2, false);
  barriers.gone(2);
  await expect(dead).rejects.toThrow(/^unavailable/);
  await expect(other).rejects.toThrow(/^unavailable: w2 is gone and cannot reach the barrier/);
});

test('who waits too long, comes twice or is sent home is not there any more', async () => {
  const barriers = new Barriers(three());
  await expect(barriers.arrive(arrival(0, { timeoutMs: 5 }))).rejects.toThrow(
    'deadline_exceeded: waited at the barrier for w1, w2',
  );
  const twice = [barriers.arrive(arrival(0)), barriers.arrive(arrival(0))];
  await expect(twice[0]).rejects.toThrow(/^cancelled/);
  const others = [1, 2].map((rank) => barriers.arrive(arrival(rank)));
  expect(await Promise.all([twice[1], ...others])).toEqual([true, true, true]);
  const last = barriers.arrive(arrival(0));
  barriers.close();
  await expect(last).rejects.toThrow(/^shut_down/);
  await expect(barriers.arrive(arrival(0))).rejects.toThrow(/^shut_down/);
});

test('waiting holds nothing of who waits, and leaves no timer', async () => {
  jest.useFakeTimers();
  try {
    const slot = new AsyncSlot<string>();
    const barriers = new Barriers(three());
    const seen: (string | undefined)[] = [];
    const { setTimeout: schedule } = globalThis;
    jest.spyOn(globalThis, 'setTimeout').mockImplementation(((...args: [() => void, number]) => {
      seen.push(slot.get());
      return schedule(...args);
    }) as never);
    const late = slot.run('the caller', () => barriers.arrive(arrival(0, { timeoutMs: 50 })));
    late.catch(() => {});
    void barriers.arrive(arrival(1, { timeoutMs: 2 ** 40 })).catch(() => {});
    jest.advanceTimersByTime(100);
    await expect(late).rejects.toThrow(/^deadline_exceeded: waited at the barrier for w2/);
    expect(seen.length).toBeGreaterThan(0);
    expect(seen).not.toContain('the caller');
    barriers.close();
    expect(jest.getTimerCount()).toBe(0);
  } finally {
    jest.restoreAllMocks();
    jest.useRealTimers();
  }
});
