import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  inRounds,
  isReached,
  median,
  quantile,
  ratios,
  summarize,
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

test('median and quantiles of known samples', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(quantile([0, 10], 0.9)).toBeCloseTo(9);
  expect(() => median([])).toThrow(RangeError);
});

test('a figure tells its suite, its noise and whether it keeps to the target', () => {
  const figure = summarize('rpc.calls', '1/s', [10, 20, 30], { least: 15 });
  expect(figure).toEqual({
    suite: 'rpc',
    figure: 'calls',
    unit: '1/s',
    median: 20,
    min: 10,
    p90: 28,
    spread: 0.9,
    samples: 3,
    target: { least: 15 },
  });
  expect(isReached(figure)).toBe(true);
  expect(isReached({ ...figure, target: { least: 21 } })).toBe(false);
  expect(isReached({ ...figure, target: { most: 20 } })).toBe(true);
  expect(isReached({ ...figure, target: { most: 19 } })).toBe(false);
  expect(summarize('rpc.calls', '1/s', [1])).not.toHaveProperty('target');
});

test('rounds run in order, and those of the warm-up do not count', async () => {
  const seen: number[] = [];
  const { a, b } = await inRounds({ warmUp: 2, rounds: 3 }, async (index) => {
    seen.push(index);
    return { a: index, b: 10 * index };
  });
  expect(seen).toEqual([-2, -1, 0, 1, 2]);
  expect(a).toEqual([0, 1, 2]);
  expect(b).toEqual([0, 10, 20]);
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
