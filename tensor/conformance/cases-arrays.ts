/** Operations that take apart and put together. */
import * as tf from '../tf.ts';
import { type Case, smooth, underived, whole } from './case.ts';

const RANK3 = [[[2, 3, 4]], [[3, 1, 5]]];
const ids = (...at: number[]): tf.Tensor1D => tf.tensor1d(at, 'int32');
/** Two lists of two indices. */
const pairs = (): tf.Tensor2D => tf.tensor2d([0, 2, 1, 1], [2, 2], 'int32');

export const ARRAY_CASES: readonly Case[] = [
  smooth(
    'gather',
    (x) => [
      tf.gather(x, ids(2, 0, 0)),
      tf.gather(x, ids(1), 1),
      tf.gather(x, ids(3, 3, 0), -1),
      tf.gather(x, pairs(), 1),
    ],
    [[3, 3, 4]],
  ),
  smooth('gather by batches', (x) => tf.gather(x, pairs(), 1, 1), [[2, 3, 4]]),
  smooth('gather by batches, second axis', (x) => tf.gather(x, pairs(), 2, 1), [[2, 3, 4]]),
  smooth(
    'gatherND',
    (x) => [
      tf.gatherND(
        x,
        tf.tensor2d(
          [
            [0, 1],
            [2, 2],
            [0, 1],
          ],
          [3, 2],
          'int32',
        ),
      ),
      tf.gatherND(x, tf.tensor2d([[1], [1]], [2, 1], 'int32')),
    ],
    [[3, 4]],
    [[3, 4, 2]],
  ),
  smooth(
    'slice',
    (x) => [tf.slice(x, [1, 0, 1], [1, 2, -1]), tf.slice(x, 1), tf.slice(x, [0, 1], [2, 0])],
    [[2, 3, 4]],
  ),
  smooth(
    'slice of ranks 1, 2, 4',
    (x) => [
      tf.slice1d(tf.reshape(x, [24]) as tf.Tensor1D, 5, 7),
      tf.slice2d(tf.reshape(x, [4, 6]) as tf.Tensor2D, [1, 2], [2, 3]),
      tf.slice4d(tf.reshape(x, [2, 3, 2, 2]) as tf.Tensor4D, [0, 1, 1, 0], [2, 1, 1, 2]),
    ],
    [[24]],
  ),
  underived(
    'stridedSlice',
    (x) => [
      tf.stridedSlice(x, [0, 3, 4], [2, 0, 0], [1, -1, -2]),
      tf.stridedSlice(x, [0, 0], [2, 4], [2, 3]),
      tf.stridedSlice(x, [0, 1], [1, 2], [1, 1], 2, 1, 0, 0, 1),
    ],
    [[2, 4, 5]],
  ),
  smooth('split', (x) => [...tf.split(x, 2, 1), ...tf.split(x, [1, 2], 2)], [[2, 4, 3]]),
  smooth('split and unstack of one', (x) => [...tf.split(x, 1, 1), ...tf.unstack(x)], [[1, 3]]),
  smooth('unstack', (x) => [...tf.unstack(x), ...tf.unstack(x, 1)], [[2, 3]]),
  smooth('concat', (a, b, c) => [tf.concat([a, b], 1), tf.concat([c, b, c], 0)], [
    [2, 3],
    [2, 4],
    [1, 4],
  ]),
  smooth('concat, last of rank 3', (a, b) => tf.concat([a, b, a], 2), [
    [2, 2, 3],
    [2, 2, 1],
  ]),
  smooth('concat with nothing', (a, b) => tf.concat([a, b], 0), [
    [0, 3],
    [2, 3],
  ]),
  whole(
    'concat, stack, tile, reverse, pad',
    (a, b) => [
      tf.concat([a, b]),
      tf.stack([a, b], 1),
      tf.tile(a, [2, 3]),
      tf.reverse(a, 1),
      tf.pad(
        a,
        [
          [1, 0],
          [0, 2],
        ],
        4,
      ),
    ],
    [
      [2, 3],
      [2, 3],
    ],
  ),
  smooth('stack', (a, b) => [tf.stack([a, b]), tf.stack([a, b], 1), tf.stack([a, b], -1)], [
    [2, 3],
    [2, 3],
  ]),
  smooth(
    'pad',
    (x) =>
      tf.pad(
        x,
        [
          [1, 2],
          [0, 1],
          [2, 0],
        ],
        -1.5,
      ),
    ...RANK3,
  ),
  smooth(
    'pad of ranks 1 and 4',
    (x) => [
      tf.pad(tf.reshape(x, [12]), [[2, 1]]),
      tf.pad(
        tf.reshape(x, [1, 3, 2, 2]),
        [
          [0, 0],
          [1, 1],
          [2, 0],
          [0, 1],
        ],
        3,
      ),
    ],
    [[12]],
  ),
  smooth(
    'mirrorPad reflect',
    (x) =>
      tf.mirrorPad(
        x,
        [
          [2, 1],
          [1, 2],
        ],
        'reflect',
      ),
    [[3, 4]],
  ),
  smooth(
    'mirrorPad symmetric',
    (x) =>
      tf.mirrorPad(
        x,
        [
          [3, 1],
          [0, 2],
        ],
        'symmetric',
      ),
    [[3, 4]],
  ),
  smooth(
    'mirrorPad of rank 3',
    (x) =>
      tf.mirrorPad(
        x,
        [
          [1, 0],
          [2, 1],
          [0, 2],
        ],
        'reflect',
      ),
    [[2, 3, 4]],
  ),
  smooth('tile', (x) => [tf.tile(x, [1, 2, 1]), tf.tile(x, [2, 1, 3])], ...RANK3),
  smooth('broadcastTo', (x) => tf.broadcastTo(x, [4, 2, 3]), [[2, 3]], [[1, 3]], [[4, 1, 1]]),
  smooth(
    'reshape, expandDims, squeeze',
    (x) => [tf.reshape(x, [-1, 2]), tf.expandDims(x, 1), tf.squeeze(tf.expandDims(x, 0), [0])],
    ...[[[2, 3, 4]]],
  ),
  smooth(
    'spaceToBatchND',
    (x) =>
      tf.spaceToBatchND(
        x,
        [2, 3],
        [
          [0, 1],
          [2, 0],
        ],
      ),
    [[2, 3, 4, 2]],
  ),
  smooth(
    'batchToSpaceND',
    (x) =>
      tf.batchToSpaceND(
        x,
        [2, 3],
        [
          [0, 1],
          [2, 0],
        ],
      ),
    [[12, 2, 2, 2]],
  ),
];
