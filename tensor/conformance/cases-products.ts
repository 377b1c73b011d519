/** Products of matrices. */
import * as tf from '../tf.ts';
import { type Case, smooth, underived } from './case.ts';

/** Large enough to be divided among threads. */
const large: readonly Case[] = [
  smooth('large matMul', (a, b) => tf.matMul(a, b), [
    [70, 90],
    [90, 50],
  ]),
  smooth('large matMul, transposed', (a, b) => tf.matMul(a, b, true, true), [
    [90, 70],
    [50, 90],
  ]),
  smooth('large conv2d', (x, k) => tf.conv2d(x, k, 1, 'same'), [
    [2, 20, 20, 6],
    [3, 3, 6, 8],
  ]),
  smooth('large depthwiseConv2d', (x, k) => tf.depthwiseConv2d(x, k, 1, 'valid'), [
    [2, 20, 20, 6],
    [3, 3, 6, 2],
  ]),
  smooth('large softmax', (x) => tf.softmax(x), [[100, 40]]),
];

export const PRODUCT_CASES: readonly Case[] = [
  ...(
    [
      [false, false],
      [true, false],
      [false, true],
      [true, true],
    ] as const
  ).map(([ta, tb]) => {
    const shape = (isTurned: boolean, ...[n, m]: [number, number]): number[] =>
      isTurned ? [m, n] : [n, m];
    const [a, b] = [shape(ta, 3, 5), shape(tb, 5, 4)];
    return smooth(
      `matMul ${ta} ${tb}`,
      (x, y) => tf.matMul(x, y, ta, tb),
      [a, b],
      [
        [2, ...a],
        [2, ...b],
      ],
      [
        [1, ...a],
        [3, ...b],
      ],
    );
  }),
  smooth('matMul fused', (a, b, bias) => tf.fused.matMul({ a, b, bias, activation: 'elu' }), [
    [3, 4],
    [4, 5],
    [5],
  ]),
  smooth('matMul of nothing', (a, b) => tf.matMul(a, b), [
    [2, 0],
    [0, 3],
  ]),
  smooth('dot and outerProduct', (a, b) => [tf.dot(a, b), tf.outerProduct(a, b)], [[4], [4]]),
  underived('einsum', (a, b) => tf.einsum('bij,bjk->bik', a, b), [
    [2, 3, 4],
    [2, 4, 2],
  ]),
  smooth('dot of matrix and vector', (a, b) => tf.dot(a, b), [[3, 4], [4]]),
  ...(['relu', 'relu6', 'sigmoid', 'leakyrelu', 'linear'] as const).map((activation) =>
    smooth(
      `matMul fused, ${activation}`,
      (a, b, bias) => tf.fused.matMul({ a, b, bias, activation, leakyreluAlpha: 0.3 }),
      [[3, 4], [4, 5], [5]],
    ),
  ),
  smooth(
    'matMul fused, prelu',
    (a, b, s) => tf.fused.matMul({ a, b, activation: 'prelu', preluActivationWeights: s }),
    [[3, 4], [4, 5], [5]],
  ),
  ...large,
];
