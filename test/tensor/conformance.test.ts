/**
 * Every operation and layer with its gradients: the same on wasm and on cpu, and what finite differences and PyTorch say.
 */
import { beforeAll, expect, test } from '@jest/globals';
import {
  BOUND,
  CASES,
  DIFFERENCE_BOUND,
  differenceOf,
  GOLDENS,
  goldenDifference,
  largestDifference,
  measure,
} from '../../tensor/conformance/index.ts';
import { startEngine } from '../../tensor/index.ts';
import { expectNoLeak } from './support.ts';

beforeAll(async () => {
  await startEngine('wasm');
});

test.each(CASES.map((each) => [each.name, each] as const))('%s', async (name, each) => {
  await startEngine('cpu');
  const cpu = await expectNoLeak(() => measure(each));
  if (each.kind === 'smooth') expect(differenceOf(each)).toBeLessThanOrEqual(DIFFERENCE_BOUND);
  await startEngine('wasm');
  const wasm = await expectNoLeak(() => measure(each));
  for (const [i, of] of cpu.entries()) {
    for (const part of ['values', 'gradients'] as const) {
      const mine = wasm[i]?.[part] ?? [];
      const far = largestDifference(mine, of[part]);
      // What differs is said only if something does.
      expect({ far, part, mine: far > BOUND && mine }).toMatchObject({ mine: false });
    }
  }
  if (!(name in GOLDENS)) return;
  for (const results of [cpu, wasm]) {
    expect(goldenDifference(name, results)).toBeLessThanOrEqual(BOUND);
  }
});

test('each case has a name of its own', () => {
  expect(CASES.length).toBeGreaterThanOrEqual(400);
  expect(new Set(CASES.map(({ name }) => name)).size).toBe(CASES.length);
});
