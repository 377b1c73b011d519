/** Seeded random numbers: reproducible, independent by label, of the right distributions. */
import { expect, test } from '@jest/globals';
import { Random } from '../../examples/support/random.ts';

const draw = (random: Random, n = 5) => Array.from({ length: n }, () => random.next());

test('a stream is fixed by its seed and labels', () => {
  expect(draw(new Random(1, 'a', 2))).toEqual(draw(new Random(1, 'a', 2)));
  const names = [[1], [2], [1, 'a'], [1, 'a', 2], [1, 'a2'], [1, 'a', '2'], [12], [1, 2]] as const;
  const streams = names.map(([seed, ...labels]) => draw(new Random(seed, ...labels)).join());
  expect(new Set(streams).size).toBe(names.length);
});

test('a derived stream does not depend on what was drawn before', () => {
  const parent = new Random(3, 'x');
  const early = draw(parent.derive('y', 1));
  draw(parent, 100);
  expect(draw(parent.derive('y', 1))).toEqual(early);
  expect(early).toEqual(draw(new Random(3, 'x', 'y', 1)));
});

test('uniform, normal and int have their ranges and moments', () => {
  const random = new Random(5);
  const uniform = Array.from({ length: 20_000 }, () => random.uniform(-1, 3));
  expect(Math.min(...uniform)).toBeGreaterThanOrEqual(-1);
  expect(Math.max(...uniform)).toBeLessThan(3);
  expect(mean(uniform)).toBeCloseTo(1, 1);
  const normal = Array.from({ length: 20_000 }, () => random.normal(2, 3));
  expect(mean(normal)).toBeCloseTo(2, 0);
  expect(Math.sqrt(mean(normal.map((v) => (v - 2) ** 2)))).toBeCloseTo(3, 0);
  const counts = [0, 0, 0, 0];
  for (let i = 0; i < 8000; i++) {
    const value = random.int(4);
    counts[value] = (counts[value] ?? 0) + 1;
  }
  expect(counts).toHaveLength(4);
  for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(200);
});

test('shuffle permutes in place, each position alike', () => {
  const first = [0, 0, 0, 0, 0];
  for (let seed = 0; seed < 5000; seed++) {
    const items = [0, 1, 2, 3, 4];
    expect(new Random(seed).shuffle(items)).toBe(items);
    const value = items[0] as number;
    first[value] = (first[value] as number) + 1;
    if (seed === 0) expect([...items].sort()).toEqual([0, 1, 2, 3, 4]);
  }
  for (const count of first) expect(Math.abs(count - 1000)).toBeLessThan(150);
});

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
