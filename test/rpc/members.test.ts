import { expect, test } from '@jest/globals';
import { BoundedSet } from '../../rpc/bounded-set.ts';
import { Members } from '../../rpc/members.ts';
import { didYouMean } from '../../rpc/nearest.ts';
import { WorkerInfo } from '../../rpc/worker-info.ts';

const names = ['master', 'trainer1', 'trainer2'];
const members = (): Members =>
  new Members(names.map((name, rank) => ({ name, rank, address: '', incarnation: '' })));

test('a member is found by name, rank or info', () => {
  const group = members();
  const info = new WorkerInfo('trainer1', 1);
  for (const peer of ['trainer1', 1, info]) expect(group.get(peer)).toEqual(info);
  expect(group.all()).toEqual(names.map((name, rank) => new WorkerInfo(name, rank)));
  expect([group.nameOf(2), group.nameOf(9)]).toEqual(['trainer2', 'rank 9']);
  expect(group.find(9)).toBeUndefined();
  expect(() => group.get('trainer3')).toThrow(
    'unknown_worker: the group has no worker named trainer3; its workers: master, trainer1, trainer2. Did you mean trainer1 or trainer2?',
  );
  expect(() => group.get(3)).toThrow(/no worker of rank 3/);
});

test('who is gone is gone once, in good order or not', () => {
  const group = members();
  expect(group.markGone(1, true)).toBe(true);
  expect(group.markGone(1, false)).toBe(false);
  group.markGone(2, false);
  expect([group.live(), group.dead()]).toEqual([[0], ['trainer2']]);
  expect([group.isGone(0), group.isGone(1)]).toEqual([false, true]);
});

test('in a dynamic group an info speaks for one worker, not for the next of its name or rank', () => {
  const group = new Members([{ name: 'first', rank: 0 }], true);
  const old = group.add({ name: 'a', rank: 1, since: 1 });
  expect(group.get(old)).toBe(old);
  group.markGone(1, true);
  const next = group.add({ name: 'a', rank: 1, since: 2 });
  expect(() => group.get(old)).toThrow(
    /^unknown_worker: the info is of another worker that was named a before, and is gone/,
  );
  expect([group.get('a'), group.get(1), group.get(next)]).toEqual([next, next, next]);
  // Its rank goes to another name: the worker is still known, and takes no work.
  group.markGone(1, true);
  const other = group.add({ name: 'b', rank: 1, since: 3 });
  expect(group.get(next)).toBe(next);
  expect(() => group.checkTakesWork(next, 'f')).toThrow(
    /^unavailable: a has left the group: f was not sent/,
  );
  expect(() => group.checkTakesWork(other, 'f')).not.toThrow();
  // Its name goes to another rank.
  group.add({ name: 'a', rank: 2, since: 4 });
  expect(() => group.get(next)).toThrow(/^unknown_worker: a has rank 2, not 1/);
  expect(() => group.get(new WorkerInfo('b', 2))).toThrow(/^unknown_worker: b has rank 1, not 2/);
});

test('near names', () => {
  expect(didYouMean('forwad', ['forward', 'backward'])).toBe(' Did you mean forward?');
  expect(didYouMean('Forward', ['forward'])).toBe(' Did you mean forward?');
  expect(didYouMean('x', ['y', 'z'])).toBe('');
  expect(didYouMean('', ['a'])).toBe('');
  expect(didYouMean('ab1', ['ab2', 'ab3', 'ab4', 'ab5'])).toBe(' Did you mean ab2 or ab3 or ab4?');
});

test('a bounded set forgets the oldest', () => {
  const set = new BoundedSet<number>(2);
  for (const n of [1, 2, 2, 3]) set.add(n);
  expect([1, 2, 3].map((n) => set.has(n))).toEqual([false, true, true]);
});
