/** Operations over windows of images and volumes, by name. */
import * as tf from '../tf.ts';
import { type Case, constant, smooth, ties, underived } from './case.ts';

const VALID = 'valid';
const SAME = 'same';

export const IMAGE_CASES: readonly Case[] = [
  smooth('conv1d', (x, k) => tf.conv1d(x, k, 1, SAME), [
    [2, 7, 3],
    [3, 3, 2],
  ]),
  smooth(
    'conv2d valid',
    (x, k) => tf.conv2d(x, k, 1, VALID),
    [
      [2, 5, 6, 2],
      [3, 2, 2, 3],
    ],
    [
      [1, 4, 4, 1],
      [1, 1, 1, 2],
    ],
  ),
  smooth('conv2d same, strides', (x, k) => tf.conv2d(x, k, [2, 1], SAME), [
    [2, 5, 6, 2],
    [3, 3, 2, 2],
  ]),
  smooth(
    'conv2d with pads',
    (x, k) =>
      tf.conv2d(x, k, 1, [
        [0, 0],
        [1, 0],
        [0, 2],
        [0, 0],
      ]),
    [
      [2, 4, 4, 2],
      [3, 3, 2, 2],
    ],
  ),
  smooth('conv2d dilated', (x, k) => tf.conv2d(x, k, 1, VALID, 'NHWC', 2), [
    [1, 6, 6, 2],
    [2, 3, 2, 2],
  ]),
  smooth('conv2d transposed', (x, k) => tf.conv2dTranspose(x, k, [2, 5, 7, 2], 2, VALID), [
    [2, 2, 3, 3],
    [3, 3, 2, 3],
  ]),
  smooth(
    'conv2d fused',
    (x, k, b) =>
      tf.fused.conv2d({ x, filter: k, strides: 1, pad: SAME, bias: b, activation: 'sigmoid' }),
    [[2, 4, 4, 2], [3, 3, 2, 2], [2]],
  ),
  smooth(
    'depthwiseConv2d fused',
    (x, k, b) =>
      tf.fused.depthwiseConv2d({
        x,
        filter: k,
        strides: 1,
        pad: SAME,
        bias: b,
        activation: 'relu6',
      }),
    [[2, 4, 4, 2], [3, 3, 2, 2], [4]],
  ),
  smooth(
    'depthwiseConv2d',
    (x, k) => tf.depthwiseConv2d(x, k, 1, SAME),
    [
      [2, 4, 5, 2],
      [3, 2, 2, 2],
    ],
    [
      [1, 5, 5, 3],
      [2, 2, 3, 1],
    ],
  ),
  smooth('depthwiseConv2d, stride 2', (x, k) => tf.depthwiseConv2d(x, k, 2, VALID), [
    [2, 5, 7, 2],
    [3, 3, 2, 2],
  ]),
  smooth('depthwiseConv2d dilated', (x, k) => tf.depthwiseConv2d(x, k, 1, VALID, 'NHWC', 2), [
    [1, 6, 6, 2],
    [2, 3, 2, 1],
  ]),
  smooth('separableConv2d', (x, a, b) => tf.separableConv2d(x, a, b, 1, VALID), [
    [1, 4, 5, 2],
    [2, 2, 2, 2],
    [1, 1, 4, 3],
  ]),
  smooth(
    'conv3d valid',
    (x, k) => tf.conv3d(x, k, 1, VALID),
    [
      [1, 4, 4, 4, 2],
      [2, 2, 2, 2, 3],
    ],
    [
      [3, 3, 4, 2, 1],
      [2, 3, 1, 1, 2],
    ],
  ),
  smooth('conv3d same', (x, k) => tf.conv3d(x, k, 1, SAME), [
    [2, 3, 3, 4, 2],
    [3, 2, 3, 2, 2],
  ]),
  smooth('conv3d same, stride 2', (x, k) => tf.conv3d(x, k, 2, SAME), [
    [1, 4, 5, 4, 2],
    [3, 3, 3, 2, 2],
  ]),
  smooth('conv3d valid, strides', (x, k) => tf.conv3d(x, k, [1, 2, 3], VALID), [
    [2, 3, 5, 7, 1],
    [2, 2, 2, 1, 2],
  ]),
  smooth('conv3d transposed', (x, k) => tf.conv3dTranspose(x, k, [1, 5, 5, 5, 2], 2, VALID), [
    [1, 2, 2, 2, 2],
    [3, 3, 3, 2, 2],
  ]),
  smooth('conv2d dilated, same', (x, k) => tf.conv2d(x, k, 1, SAME, 'NHWC', [2, 1]), [
    [2, 5, 4, 2],
    [3, 2, 2, 3],
  ]),
  smooth(
    'depthwiseConv2d dilated, same',
    (x, k) => tf.depthwiseConv2d(x, k, 1, SAME, 'NHWC', [1, 3]),
    [
      [1, 5, 6, 2],
      [2, 3, 2, 2],
    ],
  ),
  smooth('conv1d dilated', (x, k) => tf.conv1d(x, k, 1, VALID, 'NWC', 3), [
    [2, 9, 2],
    [3, 2, 3],
  ]),
  smooth('conv3d dilated', (x, k) => tf.conv3d(x, k, 1, SAME, 'NDHWC', [2, 1, 2]), [
    [1, 4, 3, 5, 2],
    [2, 2, 2, 2, 3],
  ]),
  smooth(
    'conv3d transposed, same',
    (x, k) => tf.conv3dTranspose(x, k, [1, 3, 4, 6, 2], [1, 2, 2], SAME),
    [
      [1, 3, 2, 3, 1],
      [3, 2, 3, 2, 1],
    ],
  ),
  smooth('maxPool', (x) => tf.maxPool(x, 2, 2, VALID), [[2, 4, 6, 3]], [[1, 2, 2, 1]]),
  smooth(
    'maxPool same, overlapping',
    (x) => tf.maxPool(x, 3, 2, SAME),
    [[2, 5, 5, 2]],
    [[1, 3, 7, 1]],
  ),
  smooth('maxPool of negatives', (x) => tf.maxPool(tf.sub(x, 3) as tf.Tensor4D, [3, 2], 1, SAME), [
    [2, 4, 4, 2],
  ]),
  smooth('maxPool with padding', (x) => tf.maxPool(tf.sub(x, 3) as tf.Tensor4D, 3, 2, 1), [
    [2, 6, 6, 2],
  ]),
  ties('maxPool', (x) => tf.maxPool(x, 2, 1, SAME), [[2, 4, 4, 2]]),
  underived(
    'maxPoolWithArgmax',
    (x) => Object.values(tf.maxPoolWithArgmax(tf.sub(x, 3) as tf.Tensor4D, 2, 2, VALID)),
    [[2, 4, 4, 2]],
  ),
  smooth('maxPool3d', (x) => tf.maxPool3d(tf.sub(x, 3) as tf.Tensor5D, 2, 2, VALID), [
    [2, 4, 2, 4, 2],
  ]),
  smooth('maxPool3d same', (x) => tf.maxPool3d(tf.sub(x, 3) as tf.Tensor5D, [2, 3, 2], 2, SAME), [
    [1, 3, 5, 3, 2],
  ]),
  smooth('avgPool', (x) => tf.avgPool(x, [3, 2], [2, 1], VALID), [[2, 5, 4, 2]]),
  smooth('avgPool same', (x) => tf.avgPool(x, 3, 2, SAME), [[2, 5, 4, 2]], [[1, 6, 6, 1]]),
  smooth('avgPool same, stride 1', (x) => tf.avgPool(x, 2, 1, SAME), [[2, 3, 4, 3]]),
  smooth('avgPool with padding', (x) => tf.avgPool(x, 3, 2, 1), [[1, 6, 6, 2]]),
  smooth('avgPool3d', (x) => tf.avgPool3d(x, 2, 2, VALID), [[2, 4, 2, 4, 2]]),
  smooth('avgPool3d same', (x) => tf.avgPool3d(x, [2, 3, 2], [2, 1, 2], SAME), [[2, 3, 4, 3, 2]]),
  smooth('pool avg same', (x) => tf.pool(x, [2, 2], 'avg', SAME), [[1, 5, 4, 2]]),
  smooth('pool max dilated', (x) => tf.pool(x, [2, 2], 'max', VALID, [2, 1]), [[1, 6, 5, 2]]),
  smooth('pool avg dilated, same', (x) => tf.pool(x, [2, 2], 'avg', SAME, [2, 2]), [[1, 6, 6, 2]]),
  smooth('localResponseNormalization', (x) => tf.localResponseNormalization(x), [[2, 2, 3, 6]]),
  smooth(
    'localResponseNormalization, all set',
    (x) => tf.localResponseNormalization(x, 2, 1.5, 0.7, 0.8),
    [[1, 3, 3, 7]],
  ),
  smooth('resizeBilinear, square', (x) => tf.image.resizeBilinear(x, [6, 6]), [[2, 4, 4, 2]]),
  smooth(
    'resizeBilinear',
    (x) => tf.image.resizeBilinear(x, [7, 3]),
    [[2, 4, 5, 2]],
    [[1, 2, 3, 1]],
  ),
  smooth('resizeBilinear, corners aligned', (x) => tf.image.resizeBilinear(x, [3, 9], true), [
    [2, 4, 5, 2],
  ]),
  smooth('resizeBilinear, half pixels', (x) => tf.image.resizeBilinear(x, [8, 10], false, true), [
    [1, 4, 5, 2],
  ]),
  smooth('resizeNearestNeighbor', (x) => tf.image.resizeNearestNeighbor(x, [7, 3]), [[2, 4, 5, 2]]),
  smooth(
    'resizeNearestNeighbor, corners aligned',
    (x) => tf.image.resizeNearestNeighbor(x, [7, 6], true),
    [[1, 4, 3, 2]],
  ),
  smooth(
    'resizeNearestNeighbor, half pixels',
    (x) => tf.image.resizeNearestNeighbor(x, [8, 3], false, true),
    [[1, 4, 5, 2]],
  ),
  smooth('dilation2d', (x, f) => tf.dilation2d(x, f, 1, VALID), [
    [2, 4, 4, 2],
    [2, 2, 2],
  ]),
  smooth(
    'dilation2d of negatives, same',
    (x, f) => tf.dilation2d(tf.sub(x, 4) as tf.Tensor4D, f, 2, SAME),
    [
      [1, 5, 5, 2],
      [3, 2, 2],
    ],
  ),
  smooth('dilation2d dilated', (x, f) => tf.dilation2d(x, f, 1, VALID, 2), [
    [1, 5, 5, 1],
    [2, 2, 1],
  ]),
  underived(
    'cropAndResize',
    (x) =>
      tf.image.cropAndResize(
        x,
        tf.tensor2d([
          [0.1, 0.2, 0.9, 0.7],
          [0.8, 0.9, 0.1, -0.2],
          [0, 0, 1.5, 1],
        ]),
        tf.tensor1d([1, 0, 1], 'int32'),
        [3, 4],
      ),
    [[2, 5, 4, 2]],
  ),
  underived(
    'cropAndResize, nearest',
    (x) =>
      tf.image.cropAndResize(
        x,
        tf.tensor2d([
          [0.1, 0.2, 0.9, 0.7],
          [-0.3, 0, 1, 1],
        ]),
        tf.tensor1d([1, 0], 'int32'),
        [4, 3],
        'nearest',
        7,
      ),
    [[2, 5, 4, 2]],
  ),
  ...(['nearest', 'bilinear'] as const).flatMap((how) =>
    (['constant', 'reflect', 'wrap', 'nearest'] as const).map((fill) =>
      underived(
        `transform ${how} ${fill}`,
        (x) =>
          tf.image.transform(
            x,
            tf.tensor2d([[0.9, 0.21, -1.3, -0.19, 1.13, 0.7, 0.01, 0.02]]),
            how,
            fill,
            3,
          ),
        [[2, 5, 4, 2]],
      ),
    ),
  ),
  underived('flipLeftRight', (x) => tf.image.flipLeftRight(x), [[2, 3, 5, 3]]),
  underived(
    'rotateWithOffset',
    (x) => tf.image.rotateWithOffset(x, 0.7, [10, 20, 30], [0.4, 0.6]),
    [[2, 5, 5, 3]],
  ),
  underived('depthToSpace', (x) => tf.depthToSpace(x, 2), [[2, 2, 3, 8]]),
  constant('nonMaxSuppression', (b, s) => tf.image.nonMaxSuppression(b, s, 4, 0.3), [[6, 4], [6]]),
];
