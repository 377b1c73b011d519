/** The figures that a run tells: rates without the warm-up, losses of a few batches, sums and means over the trainers. */
import { beforeAll, expect, test } from '@jest/globals';
import {
  lossFigures,
  type Report,
  StepRate,
  summarize,
} from '../../examples/parameter-server/report.ts';
import { startEngine } from '../../tensor/index.ts';

beforeAll(async () => {
  await startEngine('cpu');
});

test('the rate counts the steps and the time since the warm-up, to the end of the last step', () => {
  let nowMs = 500;
  const rate = new StepRate(() => nowMs);
  expect(rate.perSecond).toBe(0);
  nowMs += 2000;
  rate.count();
  expect(rate.perSecond).toBe(0.5);
  nowMs += 1000;
  rate.restart();
  for (let i = 0; i < 4; i++) {
    nowMs += 250;
    rate.count();
  }
  nowMs += 10_000;
  expect(rate.perSecond).toBe(4);
});

test.each([
  [[4], 4, 4, [4]],
  [[4, 2, 3], 4, 3, [4]],
  [[8, 4, 2, 1], 6, 1.5, [8]],
  [[11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1], 9, 3, [11, 6, 1]],
])('losses %j', (all, firstLoss, lastLoss, losses) => {
  expect(lossFigures(all)).toEqual({ firstLoss, lastLoss, losses });
});

test('a run is the sum and the mean of its trainers, in the order of their ranks', () => {
  const report = (rank: number, iterationsPerSecond: number, firstLoss: number): Report => ({
    rank,
    iterations: 20,
    iterationsPerSecond,
    firstLoss,
    lastLoss: firstLoss / 2,
    losses: [],
    memory: [],
  });
  const { trainers, engine, threads, ...figures } = summarize([report(2, 3, 2), report(1, 4, 3)]);
  expect(figures).toEqual({ iterationsPerSecond: 7, firstLoss: 2.5, lastLoss: 1.25 });
  expect(trainers.map(({ rank }) => rank)).toEqual([1, 2]);
  expect(engine).toBe('cpu');
  expect(threads).toBeGreaterThanOrEqual(1);
});
