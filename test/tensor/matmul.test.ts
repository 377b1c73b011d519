/** Matrix products on wasm against the cpu engine: every transpose, batch and broadcast, and what XNNPACK remembers. */
import { expect, test } from '@jest/globals';
import { tf } from '../../tensor/index.ts';
import { expectSameOnBoth, noise, numbersOn, relativeDifference } from './support.ts';

async function check(
  a: number[],
  b: number[],
  transposeA: boolean,
  transposeB: boolean,
): Promise<void> {
  const turn = (shape: number[], swap: boolean): number[] => {
    const [rows = 1, columns = 1] = shape.slice(-2);
    return [...shape.slice(0, -2), ...(swap ? [columns, rows] : [rows, columns])];
  };
  const x = noise(turn(a, transposeA), 1);
  const y = noise(turn(b, transposeB), 2);
  await expectSameOnBoth(() => tf.matMul(x, y, transposeA, transposeB));
  tf.dispose([x, y]);
}

test('every transpose, on vectors, small and large matrices, and batches', async () => {
  const pairs: [number[], number[]][] = [
    [
      [1, 1],
      [1, 1],
    ],
    [
      [1, 7],
      [7, 1],
    ],
    [
      [5, 3],
      [3, 40],
    ],
    [
      [33, 65],
      [65, 34],
    ],
    [
      [4, 128],
      [128, 300],
    ],
    [
      [3, 4, 5],
      [3, 5, 6],
    ],
    [
      [2, 40, 30],
      [2, 30, 50],
    ],
    [
      [2, 3, 4, 5],
      [2, 3, 5, 6],
    ],
    [
      [4, 6, 5],
      [1, 5, 7],
    ],
    [
      [1, 6, 5],
      [4, 5, 7],
    ],
  ];
  for (const [a, b] of pairs) {
    for (const transposeA of [false, true]) {
      for (const transposeB of [false, true]) await check(a, b, transposeA, transposeB);
    }
  }
});

test('batches that are broadcast on both sides, which the cpu engine gets wrong', async () => {
  for (const [m, k, n] of [
    [6, 5, 7],
    [40, 30, 20],
  ] as const) {
    const [a, b] = [noise([2, 1, m, k], 1), noise([1, 3, k, n], 2)];
    const [got = []] = await numbersOn('wasm', () => tf.matMul(a, b));
    const [wanted = []] = await numbersOn('wasm', () =>
      tf.matMul(tf.tile(a, [1, 3, 1, 1]), tf.tile(b, [2, 1, 1, 1])),
    );
    expect(relativeDifference(got, wanted)).toBeLessThanOrEqual(2e-6);
    tf.dispose([a, b]);
  }
});

test('empty matrices', async () => {
  await check([0, 3], [3, 2], false, false);
  await check([2, 3, 0], [2, 0, 4], true, true);
});

test('a right-hand side that is reshaped between products', async () => {
  const [a, b, c] = [noise([2, 4], 1), noise([4, 6], 2), noise([3, 2], 3)];
  await expectSameOnBoth(() => [
    tf.matMul(a, b),
    tf.matMul(c, tf.reshape(b, [2, 12])),
    tf.matMul(a, b),
    tf.matMul(tf.reshape(a, [1, 8]), tf.reshape(b, [8, 3])),
  ]);
  tf.dispose([a, b, c]);
});

test('a variable that is assigned between products', async () => {
  const [a, b, c] = [noise([2, 4], 1), noise([4, 6], 2), noise([4, 6], 3)];
  await expectSameOnBoth(() => {
    const w = tf.variable(b);
    const first = tf.matMul(a, w);
    w.assign(c);
    const second = tf.matMul(a, w);
    w.dispose();
    return [first, second];
  });
  tf.dispose([a, b, c]);
});

test('shapes that do not fit are refused', () => {
  const [a, b] = [noise([2, 3], 1), noise([2, 3], 2)];
  expect(() => tf.matMul(a, b)).toThrow(/inner/i);
  tf.dispose([a, b]);
});
