/** What is delayed keeps the order of its keys. */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DelayLine } from '../../../rpc/faults/delay-line.ts';
import { runs } from '../../support/runs.ts';

test('what shares a key with something delayed comes after it, the rest when it is due', () => {
  const line = new DelayLine<string>();
  line.push('late', ['a'], 50);
  line.push('free', ['b'], 10);
  line.push('behind', ['a', 'b'], 5);
  expect(line.dueAt).toBe(10);
  expect(line.isBehind(['b'])).toBe(true);
  expect(line.isBehind(['c'])).toBe(false);
  expect(line.take(10)).toEqual(['free']);
  expect(line.take(50)).toEqual(['late', 'behind']);
  expect(line.dueAt).toBe(Number.POSITIVE_INFINITY);
});

test('in any order of times, items of one key come as they were pushed', () => {
  const item = fc.record({ key: fc.constantFrom('a', 'b'), dueAt: fc.nat(20) });
  fc.assert(
    fc.property(fc.array(item), fc.array(fc.nat(20)), (items, times) => {
      const line = new DelayLine<number>();
      for (const [index, { key, dueAt }] of items.entries()) line.push(index, [key], dueAt);
      const taken = [...times.sort((a, b) => a - b), 20].flatMap((now) => line.take(now));
      expect(taken.length).toBe(items.length);
      for (const key of ['a', 'b']) {
        const mine = taken.filter((index) => items[index]?.key === key);
        expect(mine).toEqual(mine.toSorted((a, b) => a - b));
      }
    }),
    runs(200),
  );
});
