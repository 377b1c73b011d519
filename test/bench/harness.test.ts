import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  figure,
  inRounds,
  isReached,
  median,
  quantile,
  ratios,
  spread,
  timeMs,
} from '../../bench/harness.ts';

const samples = fc.array(fc.double({ min: 1e-3, max: 1e6, noNaN: true }), { minLength: 1 });

test('a quantile lies among the samples, grows with q and does not depend on their order', () => {
  fc.assert(
    fc.property(samples, fc.double({ min: 0, max: 1, noNaN: true }), (values, q) => {
      const at = quantile(values, q);
      expect(at).toBeGreaterThanOrEqual(Math.min(...values));
      expect(at).toBeLessThanOrEqual(Math.max(...values) * (1 + 1e-12));
      expect(quantile([...values].reverse(), q)).toBe(at);
      expect(quantile(values, q / 2)).toBeLessThanOrEqual(at * (1 + 1e-12));
    }),
  );
});

test('median, quantiles and spread of known samples', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(quantile([0, 10], 0.9)).toBeCloseTo(9);
  expect(spread([10, 20, 30])).toBeCloseTo(0.4);
  expect(spread([0, 0])).toBe(0);
  expect(() => median([])).toThrow(RangeError);
});

test('a ratio above 1 means that we are better, whatever the unit', () => {
  const [ours, theirs] = [
    [2, 4, 6],
    [1, 2, 2],
  ];
  fc.assert(
    fc.property(fc.constantFrom('more', 'less'), (better) => {
      const { value, peer, ratio } = figure('rpc.some', { unit: 'x', better, ours, theirs });
      expect({ value, peer, ratio }).toEqual({
        value: 4,
        peer: 2,
        ratio: better === 'more' ? 2 : 0.5,
      });
    }),
  );
});

test('a ratio is taken round by round: what slows both sides of a round falls out', () => {
  const { ratio } = figure('rpc.some', {
    unit: 'ms',
    better: 'less',
    ours: [10, 100, 1000],
    theirs: [5, 50, 500],
  });
  expect(ratio).toBe(0.5);
  expect(() =>
    figure('rpc.some', { unit: 'ms', better: 'less', ours: [1], theirs: [1, 2] }),
  ).toThrow(RangeError);
});

test('without a peer there is neither its figure nor a ratio', () => {
  const conditions = { threads: 1 };
  const calls = figure('rpc.calls', {
    unit: '1/s',
    better: 'more',
    ours: [10, 20, 30],
    conditions,
  });
  expect(calls).toEqual({
    name: 'rpc.calls',
    unit: '1/s',
    value: 20,
    peer: null,
    ratio: null,
    conditions: { samples: 3, min: 10, p90: 28, spread: expect.closeTo(0.4), threads: 1 },
  });
});

test('a target is one of the value or of the ratio', () => {
  const plain = figure('rpc.calls', { unit: '1/s', better: 'more', ours: [10], theirs: [5] });
  expect(isReached(plain)).toBeUndefined();
  expect(isReached({ ...plain, target: { of: 'ratio', least: 2 } })).toBe(true);
  expect(isReached({ ...plain, target: { of: 'ratio', least: 2.1 } })).toBe(false);
  expect(isReached({ ...plain, target: { of: 'value', most: 10 } })).toBe(true);
  expect(isReached({ ...plain, target: { of: 'value', most: 9 } })).toBe(false);
  expect(isReached({ ...plain, ratio: null, target: { of: 'ratio', least: 1 } })).toBeUndefined();
});

test('rounds run in order, those of the warm-up do not count, and what is not measured is left out', async () => {
  const seen: number[] = [];
  const { a, b, c } = await inRounds({ warmUp: 2, rounds: 3 }, async (index) => {
    seen.push(index);
    return { a: index, b: 10 * index, c: undefined };
  });
  expect(seen).toEqual([-2, -1, 0, 1, 2]);
  expect(a).toEqual([0, 1, 2]);
  expect(b).toEqual([0, 10, 20]);
  expect(c).toEqual([]);
});

test('ratios pair the samples of a round', () => {
  expect(ratios([1, 6], [2, 3])).toEqual([0.5, 2]);
});

test('timeMs waits for what it times', async () => {
  let isDone = false;
  const ms = await timeMs(async () => {
    await new Promise((resolve) => setImmediate(resolve));
    isDone = true;
  });
  expect(isDone).toBe(true);
  expect(ms).toBeGreaterThan(0);
});
