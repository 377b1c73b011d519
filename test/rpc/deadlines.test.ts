import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { Deadlines } from '../../rpc/deadlines.ts';
import { runs } from '../support/runs.ts';

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

test('each limit expires once, never early, late by less than 20 ms (P4)', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ after: fc.nat(500), cancel: fc.option(fc.nat(500)) }), {
        maxLength: 30,
      }),
      (list) => {
        const start = Date.now();
        const deadlines = new Deadlines(() => Date.now() - start);
        const expired: (number | undefined)[] = list.map(() => undefined);
        const entries = list.map(({ after }, i) =>
          deadlines.add(after, () => {
            expect(expired[i]).toBeUndefined();
            expired[i] = Date.now() - start;
          }),
        );
        for (let now = 0; now <= 600; now++) {
          for (const [i, { cancel }] of list.entries()) if (cancel === now) entries[i]?.cancel();
          jest.advanceTimersByTime(1);
        }
        for (const [i, { after, cancel }] of list.entries()) {
          const at = expired[i];
          if (cancel !== null && cancel < after) expect(at).toBeUndefined();
          else if (at !== undefined) {
            expect(at).toBeGreaterThanOrEqual(after);
            expect(at).toBeLessThan(after + 20);
          } else expect(cancel).toBeLessThan(after + 20);
        }
        expect(jest.getTimerCount()).toBe(0);
      },
    ),
    runs(50),
  );
});

test('one timer for all, and none after close', () => {
  const deadlines = new Deadlines(() => 0);
  const expire = jest.fn();
  for (let i = 1; i < 1000; i++) deadlines.add(i, expire);
  expect(jest.getTimerCount()).toBe(1);
  deadlines.add(Number.POSITIVE_INFINITY, expire).cancel();
  deadlines.close();
  expect(jest.getTimerCount()).toBe(0);
  jest.advanceTimersByTime(2000);
  expect(expire).not.toHaveBeenCalled();
});

test('a limit may add and cancel others when it expires', () => {
  const start = Date.now();
  const deadlines = new Deadlines(() => Date.now() - start);
  const seen: string[] = [];
  deadlines.add(95, () => {
    seen.push('first');
    other.cancel();
    deadlines.add(5, () => seen.push('next'));
  });
  const other = deadlines.add(100, () => seen.push('other'));
  jest.advanceTimersByTime(300);
  expect(seen).toEqual(['first', 'next']);
});

test('a limit beyond what timers can count does not expire at once', () => {
  const deadlines = new Deadlines(() => 0);
  const expire = jest.fn();
  deadlines.add(2 ** 40, expire);
  jest.advanceTimersByTime(1000);
  expect(expire).not.toHaveBeenCalled();
  deadlines.close();
});
