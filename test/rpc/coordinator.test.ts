/** Rank 0's book of a dynamic group, event by event, and its timers. */
import { expect, jest, test } from '@jest/globals';
import { Coordinator, type CoordinatorEffect } from '../../rpc/coordinator.ts';
import { DynamicGroup } from '../../rpc/dynamic-group.ts';
import { decodeChange, encodeChange } from '../../rpc/group-wire.ts';
import { type Candidate, DYNAMIC } from '../../rpc/transport.ts';

function candidate(rank: number, more: Partial<Candidate> = {}): Candidate {
  const common = { worldSize: DYNAMIC, address: `host:${rank}`, timeoutMs: 1000 };
  return { ...common, name: `w${rank}`, rank, incarnation: `i${rank}`, ...more };
}

function ask(book: Coordinator, rank: number, more?: Partial<Candidate>): readonly string[] {
  return short(book.step({ type: 'ask', candidate: candidate(rank, more) }));
}

/** A book with members of these ranks. */
function bookOf(...ranks: number[]): Coordinator {
  const book = new Coordinator();
  for (const rank of ranks) {
    ask(book, rank);
    book.step({ type: 'connected', incarnation: `i${rank}` });
  }
  return book;
}

function short(effects: readonly CoordinatorEffect[]): readonly string[] {
  return effects.map((effect) => {
    if (effect.type === 'admit') return `admit ${effect.incarnation}`;
    if (effect.type === 'refuse') return `refuse ${effect.incarnation} ${effect.error.code}`;
    const { number, seats, leaving, departed } = effect.change;
    const gone = departed.map((one) => `-${one.incarnation}${one.hasLeft ? '' : '!'}`);
    return [number, ...seats.map((seat) => `+${seat.incarnation}`), ...leaving, ...gone].join(' ');
  });
}

test('members come in the order in which they connect, and each change has its number', () => {
  const book = bookOf(0);
  expect([ask(book, 2), ask(book, 1)]).toEqual([['admit i2'], ['admit i1']]);
  expect(book.isExpected(1, 'i1')).toBe(true);
  expect(short(book.step({ type: 'connected', incarnation: 'i1' }))).toEqual(['2 +i1']);
  expect(book.isExpected(1, 'i1')).toBe(false);
  expect(short(book.step({ type: 'connected', incarnation: 'i2' }))).toEqual(['3 +i2']);
  expect(book.snapshot.seats.map(({ rank, since }) => [rank, since])).toEqual([
    [0, 1],
    [2, 3],
    [1, 2],
  ]);
  expect(book.others).toEqual(['w1', 'w2']);
  expect(short(book.step({ type: 'leaving', incarnation: 'i1' }))).toEqual(['4 i1']);
  expect(book.snapshot.seats.map(({ rank }) => rank)).toEqual([0, 2]);
  const gone = { type: 'gone', isFarewell: false } as const;
  expect(short(book.step({ ...gone, incarnation: 'i1' }))).toEqual(['5 -i1']);
  expect(short(book.step({ ...gone, incarnation: 'i2' }))).toEqual(['6 -i2!']);
  // What is over, or was never there, changes nothing.
  for (const type of ['forget', 'connected', 'leaving'] as const) {
    expect(book.step({ type, incarnation: 'i2' })).toEqual([]);
  }
  expect(book.step({ ...gone, incarnation: 'i2' })).toEqual([]);
});

test.each<[string, number, Partial<Candidate>, RegExp]>([
  ['a static member', 1, { worldSize: 3 }, /^group_mismatch: w1 .* world size 3, but the group is/],
  ['a rank that is none', 1.5, {}, /^invalid_argument: rank 1.5/],
  ['a rank beyond', 2 ** 31, {}, /^invalid_argument/],
  ['a rank that is taken', 0, { incarnation: 'x', name: 'x' }, /^duplicate_rank: rank 0 .* by w0/],
  ['a name that is taken', 1, { name: 'w0' }, /^duplicate_name: the name w0 is taken by rank 0/],
])('refuses %s', (_, rank, more, message) => {
  const [effect] = bookOf(0).step({ type: 'ask', candidate: candidate(rank, more) });
  expect(effect).toMatchObject({
    type: 'refuse',
    error: { message: expect.stringMatching(message) },
  });
});

test('who asks for what is promised or being left waits, and hears what becomes of it', () => {
  const book = bookOf(0);
  ask(book, 1);
  // Asked again, as the answer was lost.
  expect(ask(book, 1)).toEqual(['admit i1']);
  expect(ask(book, 1, { incarnation: 'next' })).toEqual([]);
  expect(ask(book, 2, { incarnation: 'name', name: 'w1' })).toEqual([]);
  expect(short(book.step({ type: 'connected', incarnation: 'i1' }))).toEqual([
    '2 +i1',
    'refuse next duplicate_rank',
    'refuse name duplicate_name',
  ]);
  book.step({ type: 'leaving', incarnation: 'i1' });
  expect([ask(book, 1, { incarnation: 'a' }), ask(book, 1, { incarnation: 'b' })]).toEqual([
    [],
    [],
  ]);
  expect(short(book.step({ type: 'forget', incarnation: 'a' }))).toEqual([]);
  const gone = { type: 'gone', incarnation: 'i1', isFarewell: true } as const;
  expect(short(book.step(gone))).toEqual(['4 -i1', 'admit b']);
  expect(ask(book, 1, { incarnation: 'c' })).toEqual([]);
  // It does not come: its place goes to the next.
  expect(short(book.step({ type: 'forget', incarnation: 'b' }))).toEqual(['admit c']);
});

test('when rank 0 leaves nobody comes any more', () => {
  const book = bookOf(0);
  ask(book, 1);
  ask(book, 1, { incarnation: 'waiting' });
  expect(short(book.step({ type: 'close' }))).toEqual(['refuse waiting unavailable']);
  expect(book.isExpected(1, 'i1')).toBe(false);
  expect(book.step({ type: 'connected', incarnation: 'i1' })).toEqual([]);
  expect(ask(book, 2)).toEqual(['refuse i2 unavailable']);
});

test('a change arrives as it was sent, and nothing else passes for one', () => {
  const { snapshot } = bookOf(0, 3);
  const departed = [{ incarnation: 'x', hasLeft: true }];
  const change = { ...snapshot, leaving: ['y'], departed };
  expect(decodeChange(encodeChange(change))).toEqual(change);
  const seats = snapshot.seats.map((seat) => ({ ...seat, liveness: 'host:1' }));
  expect(decodeChange(encodeChange({ ...change, seats })).seats).toEqual(seats);
  for (const bad of [
    null,
    [],
    [1, [], [], 0],
    [1, [['n', 1]], [], []],
    [1, [], [5], []],
    [-1, [], [], []],
  ]) {
    expect(() => decodeChange(bad)).toThrow(/^protocol_error/);
  }
});

test('a place is kept for five seconds for one that does not connect; no timer outlives the group', async () => {
  jest.useFakeTimers();
  try {
    const group = new DynamicGroup();
    const early = group.join(candidate(1));
    const master = { name: 'w0', rank: 0, address: 'host:0', incarnation: 'i0' };
    expect(await group.join(candidate(0))).toEqual([master]);
    expect(await early).toEqual([master]);
    const next = group.join(candidate(1, { incarnation: 'next' }));
    jest.advanceTimersByTime(5_000);
    expect(await next).toEqual([master]);
    expect([group.isExpected(1, 'i1'), group.isExpected(1, 'next')]).toEqual([false, true]);
    const third = group.join(candidate(1, { incarnation: 'third' }));
    const again = group.join(candidate(1, { incarnation: 'third' }));
    await expect(third).rejects.toThrow(/^cancelled/);
    group.expire(1, 'third', 3_000);
    await expect(again).rejects.toThrow(/^init_timeout: waited 3 s for rank 1/);
    const fourth = group.join(candidate(1, { incarnation: 'fourth' }));
    await Promise.resolve();
    group.leave(1, 'fourth');
    await expect(fourth).rejects.toThrow(/^cancelled: rank 1 went away/);
    group.leave(1, 'next');
    expect(group.isExpected(1, 'next')).toBe(true);
    group.close();
    expect(jest.getTimerCount()).toBe(0);
  } finally {
    jest.useRealTimers();
  }
});
