import { expect, test } from '@jest/globals';
import { Group } from '../../rpc/group.ts';
import type { Candidate } from '../../rpc/transport.ts';

function candidate(rank: number, more: Partial<Candidate> = {}): Candidate {
  const address = `host:${rank}`;
  const common = { name: `w${rank}`, worldSize: 3, incarnation: `i${rank}`, timeoutMs: 1000 };
  return { ...common, rank, address, ...more };
}

test('all get all members by rank when the last has come', async () => {
  const group = new Group(3);
  const waiting = [2, 0, 1].map((rank) => group.join(candidate(rank)));
  for (const members of await Promise.all(waiting)) {
    expect(members.map(({ rank }) => rank)).toEqual([0, 1, 2]);
    expect(members[2]).toEqual({ name: 'w2', rank: 2, address: 'host:2', incarnation: 'i2' });
  }
  await expect(group.join(candidate(1, { incarnation: 'new' }))).rejects.toThrow(/^duplicate_rank/);
  // Who did not hear the answer asks again.
  expect((await group.join(candidate(1))).length).toBe(3);
});

test.each<[string, Partial<Candidate>, RegExp]>([
  [
    'another size',
    { worldSize: 4 },
    /^group_mismatch: w1 was started with world size 4, the master/,
  ],
  ['a rank beyond', { rank: 3 }, /^invalid_argument: rank 3/],
  ['a rank that is none', { rank: 0.5 }, /^invalid_argument/],
  ['a rank that is taken', { rank: 0, name: 'x' }, /^duplicate_rank: rank 0 is taken by w0/],
  ['a name that is taken', { name: 'w0' }, /^duplicate_name: the name w0 is taken by rank 0/],
])('refuses %s', async (_, more, message) => {
  const group = new Group(3);
  group.join(candidate(0)).catch(() => {});
  await expect(group.join(candidate(1, more))).rejects.toThrow(message);
  group.close();
});

test('a worker that asks twice is one, and its first question ends', async () => {
  const group = new Group(2);
  const first = group.join(candidate(0, { worldSize: 2 }));
  const again = group.join(candidate(0, { worldSize: 2 }));
  await expect(first).rejects.toThrow(/^cancelled/);
  const other = group.join(candidate(1, { worldSize: 2 }));
  expect(await again).toEqual(await other);
});

test('a short wait is told in ms', () => {
  expect(new Group(2).missing(30).message).toMatch(/: waited 30 ms for rank 0, 1 of a group of 2/);
});

test('who gives up or goes away frees its place, and no other', async () => {
  const group = new Group(3);
  const first = group.join(candidate(1));
  const second = group.join(candidate(2));
  group.expire(1, 'i1', 2000);
  await expect(first).rejects.toThrow(
    'init_timeout: waited 2 s for rank 0 of a group of 3; joined: 1 (w1), 2 (w2). ',
  );
  group.leave(2, 'other');
  group.leave(2, 'i2');
  await expect(second).rejects.toThrow(/^cancelled: rank 2 went away/);
  const waiting = [1, 2].map((rank) => group.join(candidate(rank, { incarnation: 'new' })));
  // What the old ones still say does not touch the new ones.
  group.expire(1, 'i1', 1);
  group.leave(2, 'i2');
  expect((await group.join(candidate(0))).length).toBe(3);
  await Promise.all(waiting);
  group.expire(0, 'new', 1);
  group.leave(2, 'i2');
});

test('when the master goes nobody waits', async () => {
  const group = new Group(2);
  const first = group.join(candidate(0, { worldSize: 2 }));
  group.close();
  await expect(first).rejects.toThrow(/^unavailable: the master left/);
});

test('when the patience of the master is over, all are told who is missing', async () => {
  const group = new Group(4);
  const waiting = [0, 2].map((rank) => group.join(candidate(rank, { worldSize: 4 })));
  group.expire(0, 'i0', 5000);
  for (const joining of waiting) {
    await expect(joining).rejects.toThrow(
      'init_timeout: waited 5 s for rank 1, 3 of a group of 4; joined: 0 (w0), 2 (w2). ',
    );
  }
});
