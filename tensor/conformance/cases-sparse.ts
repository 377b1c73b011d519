/** Operations that fill tensors, here and there or all over. */
import * as tf from '../tf.ts';
import { type Case, constant, underived } from './case.ts';

const ids = (...at: number[]): tf.Tensor1D => tf.tensor1d(at, 'int32');

export const SPARSE_CASES: readonly Case[] = [
  underived(
    'scatterND, repeated',
    (x) => tf.scatterND(tf.tensor2d([[4], [0], [4]], [3, 1], 'int32'), x, [6, 2]),
    [[3, 2]],
  ),
  underived(
    'tensorScatterUpdate',
    (x) =>
      tf.tensorScatterUpdate(tf.ones([6, 2]), tf.tensor2d([[4], [0], [1]], [3, 1], 'int32'), x),
    [[3, 2]],
  ),
  underived(
    'sparseToDense',
    (x) => [
      tf.sparseToDense(
        tf.tensor2d(
          [
            [0, 1],
            [2, 3],
            [1, 0],
          ],
          [3, 2],
          'int32',
        ),
        x,
        [3, 4],
        tf.scalar(-2),
      ),
      tf.sparseToDense(ids(5, 1, 0), x, [6]),
    ],
    [[3]],
  ),
  constant(
    'oneHot, linspace, range, fill, eye',
    (x) => [
      tf.oneHot(
        tf.tensor2d(
          [
            [0, 2],
            [3, -1],
          ],
          [2, 2],
          'int32',
        ),
        4,
        5,
        -2,
      ),
      tf.linspace(-1, 2, 5),
      tf.range(5, -3, -2),
      tf.fill([2, 3], 1.5),
      tf.eye(3, 4),
      tf.mul(x, 1),
    ],
    [[2]],
  ),
  underived('diag, ringed', (x) => tf.diag(x), [[3]], [[2, 2]]),
  underived(
    'sparse segments',
    (x) => [
      tf.sparse.sparseSegmentSum(x, ids(0, 2, 1), ids(0, 0, 2)),
      tf.sparse.sparseSegmentMean(x, ids(0, 2, 1), ids(0, 0, 1)),
    ],
    [[4, 3]],
  ),
];
