/** Operations that reduce along axes, running sums, and operations that order. */
import * as tf from '../tf.ts';
import { type Case, constant, edge, smooth, ties, underived, whole } from './case.ts';

type X = tf.Tensor;

const ids = (...at: number[]): tf.Tensor1D => tf.tensor1d(at, 'int32');
const AXES: readonly (number | number[] | undefined)[] = [undefined, 0, 1, -1, [0, 2], [1, 2]];
const RANK3 = [[[2, 3, 4]], [[3, 1, 5]]];

type Reduction = (x: X, axis?: number | number[], keepDims?: boolean) => X;

/** All choices of axes as one operation. */
function over(reduce: Reduction): (x: X) => X[] {
  return (x) => [
    ...AXES.map((axis) => reduce(x, axis)),
    reduce(x, 1, true),
    reduce(x, [0, 2], true),
  ];
}

const reductions: readonly Case[] = [
  smooth(
    'sum',
    over((...of) => tf.sum(...of)),
    ...RANK3,
  ),
  smooth(
    'mean',
    over((...of) => tf.mean(...of)),
    ...RANK3,
  ),
  smooth(
    'max',
    over((...of) => tf.max(...of)),
    ...RANK3,
  ),
  smooth(
    'min',
    over((...of) => tf.min(...of)),
    ...RANK3,
  ),
  ties(
    'max',
    over((...of) => tf.max(...of)),
    ...RANK3,
  ),
  ties(
    'min',
    over((...of) => tf.min(...of)),
    ...RANK3,
  ),
  smooth('max of negatives', (x) => tf.max(tf.sub(x, 3), 1), ...RANK3),
  smooth('min of positives', (x) => tf.min(tf.add(x, 3), 1), ...RANK3),
  smooth(
    'prod',
    over((...of) => tf.prod(...of)),
    ...RANK3,
  ),
  ties('prod with 0', (x) => tf.prod(x, 1), [[3, 2]]),
  smooth(
    'logSumExp',
    over((...of) => tf.logSumExp(...of)),
    ...RANK3,
  ),
  smooth('norm', (x) => [tf.norm(x), tf.norm(x, 1, 1), tf.norm(x, 'euclidean', [0, 2])], ...RANK3),
  smooth(
    'moments',
    (x) => {
      const { mean, variance } = tf.moments(x, [0, 2]);
      return [mean, variance];
    },
    ...RANK3,
  ),
  edge(
    'reductions of nothing',
    (x) => [tf.sum(x, 0), tf.max(x, 0), tf.min(x, 0), tf.prod(x, 0), tf.sum(x)],
    [[0, 3]],
  ),
  smooth(
    'reductions over no axes',
    (x) => [tf.sum(x, []), tf.mean(x, []), tf.max(x, []), tf.prod(x, [])],
    [[2, 3]],
  ),
  whole(
    'sum, mean, max, min, prod',
    (x) => [tf.sum(x, 0), tf.sum(x), tf.mean(x, 1), tf.max(x, 1), tf.min(x, 0), tf.prod(x, 1)],
    [[3, 4]],
  ),
  constant(
    'all and any',
    (x) => [
      tf.all(tf.greater(x, 0), 1),
      tf.any(tf.greater(x, 1), 1),
      tf.all(tf.greater(x, -9)),
      tf.any(tf.greater(x, 9), 0, true),
    ],
    [[4, 3]],
  ),
  constant(
    'argMax and argMin',
    (x) => [tf.argMax(x, 1), tf.argMin(x, 0), tf.argMax(x, -1), tf.argMin(x)],
    ...RANK3,
  ),
  ties(
    'argMax and argMin',
    (x) => [tf.argMax(x, 1), tf.argMin(x, 1)].map((y) => tf.add(tf.cast(y, 'float32'), tf.sum(x))),
    [[3, 7]],
  ),
  ...(
    [
      [false, false],
      [true, false],
      [false, true],
      [true, true],
    ] as const
  ).flatMap(([exclusive, reverse]) => [
    smooth(
      `cumsum ${exclusive} ${reverse}`,
      (x) => [
        tf.cumsum(x, 0, exclusive, reverse),
        tf.cumsum(x, 1, exclusive, reverse),
        tf.cumsum(x, 2, exclusive, reverse),
      ],
      ...RANK3,
    ),
    underived(
      `cumprod ${exclusive} ${reverse}`,
      (x) => [
        tf.cumprod(x, 0, exclusive, reverse),
        tf.cumprod(x, 1, exclusive, reverse),
        tf.cumprod(x, 2, exclusive, reverse),
      ],
      ...RANK3,
    ),
  ]),
  underived(
    'bincount',
    (x) => [
      tf.bincount(ids(1, 4, 1, 7, 0), x, 6),
      tf.denseBincount(tf.tensor2d([1, 1, 4, 0, 9, 2], [2, 3], 'int32'), [], 5),
    ],
    [[5]],
  ),
  smooth('unsortedSegmentSum', (x) => tf.unsortedSegmentSum(x, ids(0, 2, 0, 1, 2), 4), [[5, 3]]),
];

const orders: readonly Case[] = [
  underived(
    'topk',
    (x) => {
      const { values, indices } = tf.topk(x, 3);
      return [values, indices];
    },
    [[2, 5]],
    [[3, 2, 4]],
  ),
  underived(
    'topk of equal elements',
    (x) => {
      const { values, indices } = tf.topk(tf.round(x), 3);
      return [values, indices];
    },
    [[2, 7]],
  ),
  whole(
    'topk',
    (x) => {
      const { values, indices } = tf.topk(x, 2);
      return [values, indices];
    },
    [[3, 5]],
  ),
  constant(
    'searchSorted',
    (x) => [
      tf.lowerBound(tf.tensor2d([[-1, 0, 0, 1]]), tf.reshape(x, [1, -1])),
      tf.upperBound(tf.tensor2d([[-1, 0, 0, 1]]), tf.reshape(x, [1, -1])),
    ],
    [[5]],
  ),
  smooth('reverse', (x) => [tf.reverse(x), tf.reverse(x, 1), tf.reverse(x, [0, -1])], ...RANK3),
  constant(
    'unique',
    (x) => {
      const { values, indices } = tf.unique(tf.round(x));
      return [values, indices];
    },
    [[9]],
  ),
  smooth(
    'transpose',
    (x) => [tf.transpose(x), tf.transpose(x, [1, 0, 2]), tf.transpose(x, [2, 0, 1])],
    ...RANK3,
    [[0, 2, 3]],
  ),
  smooth('transpose of rank 5', (x) => tf.transpose(x, [4, 0, 3, 1, 2]), [[2, 3, 1, 2, 3]]),
];

export const REDUCTION_CASES: readonly Case[] = [...reductions, ...orders];
