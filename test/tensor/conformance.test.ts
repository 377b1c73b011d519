/** Operations of tfjs with their gradients: the same on wasm and on cpu, and right. */
import { expect, test } from '@jest/globals';
import { ARRAY_CASES } from './cases-arrays.ts';
import { ELEMENT_CASES } from './cases-elements.ts';
import { IMAGE_CASES } from './cases-images.ts';
import { PRODUCT_CASES } from './cases-products.ts';
import { REDUCTION_CASES } from './cases-reductions.ts';
import { SPARSE_CASES } from './cases-sparse.ts';
import { check } from './conformance.ts';
import './support.ts';

const CASES = [
  ...ELEMENT_CASES,
  ...ARRAY_CASES,
  ...IMAGE_CASES,
  ...PRODUCT_CASES,
  ...REDUCTION_CASES,
  ...SPARSE_CASES,
];

test.each(CASES.map((each) => [each.name, each] as const))('%s', async (_name, each) => {
  await check(each);
});

test('there are many, each named once', () => {
  expect(CASES.length).toBeGreaterThanOrEqual(90);
  expect(new Set(CASES.map(({ name }) => name)).size).toBe(CASES.length);
});
