/** Losses, and what is made of several operations: normalizations, cells, decompositions. */
import * as tf from '../tf.ts';
import { type Case, constant, smooth, underived } from './case.ts';

const { losses } = tf;

const PAIR = [
  [3, 4],
  [3, 4],
];
const WEIGHTED = [...PAIR, [3, 1]];
const { MEAN, SUM } = tf.Reduction;

const positive = (x: tf.Tensor): tf.Tensor => tf.add(tf.abs(x), 0.3);
const share = (x: tf.Tensor): tf.Tensor => tf.add(tf.mul(tf.sigmoid(x), 0.8), 0.1);
/** 0 and 1 in turns. */
const labels = (shape: number[]): tf.Tensor =>
  tf.tensor(
    Array.from({ length: tf.util.sizeFromShape(shape) }, (_, i) => i % 2),
    shape,
  );

const lossCases: readonly Case[] = [
  smooth('softmaxCrossEntropy', (x) => losses.softmaxCrossEntropy(tf.oneHot([0, 2, 3], 4), x), [
    [3, 4],
  ]),
  smooth(
    'softmaxCrossEntropy, smoothed',
    (x) =>
      losses.softmaxCrossEntropy(tf.cast(tf.oneHot([0, 2, 3], 4), 'float32'), x, undefined, 0.2),
    [[3, 4]],
  ),
  smooth('sigmoidCrossEntropy', (x) => losses.sigmoidCrossEntropy(tf.ones([5]), x), [[5]]),
  smooth('sigmoidCrossEntropy of labels', (x) => losses.sigmoidCrossEntropy(labels([3, 4]), x), [
    [3, 4],
  ]),
  smooth('huberLoss', (x) => losses.huberLoss(tf.zeros([3, 4]), x), [[3, 4]]),
  smooth('huberLoss, delta 0.5', (a, b) => losses.huberLoss(a, b, undefined, 0.5), PAIR),
  smooth('cosineDistance', (a, b) => losses.cosineDistance(a, b, 1), PAIR),
  smooth('hingeLoss', (x) => losses.hingeLoss(tf.ones([6]), x), [[6]]),
  smooth('hingeLoss of labels', (x) => losses.hingeLoss(labels([3, 4]), x), [[3, 4]]),
  smooth('absoluteDifference', (a, b) => losses.absoluteDifference(a, b), PAIR),
  smooth('meanSquaredError', (a, b) => losses.meanSquaredError(a, b), PAIR),
  smooth('meanSquaredError, weighted', (a, b, w) => losses.meanSquaredError(a, b, w), WEIGHTED),
  smooth(
    'meanSquaredError, weighted mean',
    (a, b, w) => losses.meanSquaredError(a, b, positive(w), MEAN),
    WEIGHTED,
  ),
  smooth(
    'meanSquaredError, weighted sum',
    (a, b, w) => losses.meanSquaredError(a, b, w, SUM),
    WEIGHTED,
  ),
  smooth('logLoss', (a, b) => losses.logLoss(share(a), share(b)), PAIR),
  smooth('computeWeightedLoss', (a, w) => losses.computeWeightedLoss(a, w), PAIR),
];

const norms: readonly Case[] = [
  smooth(
    'batchNorm',
    (x, ...[m, v, o, s]) => tf.batchNorm(x, m, tf.add(tf.abs(v), 1) as tf.Tensor1D, o, s),
    [[2, 3, 2, 4], [4], [4], [4], [4]],
    [[5, 3], [3], [3], [3], [3]],
  ),
  smooth(
    'batchNorm along other axes',
    (x, ...[m, v, o, s]) => tf.batchNorm(x, m, tf.add(tf.abs(v), 1), o, s),
    [
      [2, 3, 4],
      [1, 3, 1],
      [1, 3, 1],
      [1, 3, 1],
      [1, 3, 1],
    ],
    [
      [4, 3],
      [4, 1],
      [4, 1],
      [4, 1],
      [4, 1],
    ],
  ),
  smooth(
    'batchNorm by moments',
    (x, s, o) => {
      const { mean, variance } = tf.moments(x, 0);
      return tf.batchNorm(x, mean as tf.Tensor1D, variance as tf.Tensor1D, o, s, 1e-3);
    },
    [[6, 4], [4], [4]],
  ),
  smooth(
    'layer normalization by moments',
    (x) => {
      const { mean, variance } = tf.moments(x, -1, true);
      return tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, 1e-5)));
    },
    [[4, 6]],
  ),
  smooth('gelu', (x) => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.div(x, Math.SQRT2)), 1)), [[4, 5]]),
  smooth('euclideanNorm', (x) => tf.euclideanNorm(x, 1), [[3, 4]]),
  smooth('pow of exp of log', (x) => tf.pow(tf.exp(tf.log(positive(x))), 1.5), [[9]]),
  smooth('dropout', (x) => tf.dropout(x, 0.5, undefined, 7), [[4, 5]]),
  smooth('moments of all', (x) => Object.values(tf.moments(x)), [[3, 4]]),
];

const transforms: readonly Case[] = [
  underived('fft', (a, b) => parts(tf.fft(tf.complex(a, b))), [
    [2, 8],
    [2, 8],
  ]),
  underived('ifft', (a, b) => parts(tf.ifft(tf.complex(a, b))), [[6], [6]]),
  underived('rfft, irfft', (x) => [...parts(tf.rfft(x)), tf.irfft(tf.rfft(x))], [[2, 8]]),
  underived('abs of complex numbers', (a, b) => tf.abs(tf.complex(a, b)), [[6], [6]]),
  // The engines draw other numbers, but what is certain is the same on all.
  constant('multinomial of certainties', (x) => tf.multinomial(tf.mul(x, 1e3), 6, 7), [[2, 3]]),
];

function parts(x: tf.Tensor): tf.Tensor[] {
  return [tf.real(x), tf.imag(x)];
}

const composites: readonly Case[] = [
  smooth(
    'basicLSTMCell',
    (x, w, b, h) => tf.basicLSTMCell(tf.scalar(1), w, b, x, tf.mul(h, 0.5), h),
    [[2, 3], [7, 16], [16], [2, 4]],
  ),
  smooth(
    'multiRNNCell',
    (x, w, h) => {
      const cell = (data: tf.Tensor2D, c: tf.Tensor2D, state: tf.Tensor2D) =>
        tf.basicLSTMCell(tf.scalar(1), w, tf.zeros([16]), data, c, state);
      return tf.multiRNNCell([cell], x, [tf.zeros([2, 4])], [h]).flat();
    },
    [
      [2, 3],
      [7, 16],
      [2, 4],
    ],
  ),
  smooth(
    'qr, signs aside',
    (x) => {
      const [q, r] = tf.linalg.qr(x);
      const signs = tf.sign(tf.sum(tf.mul(r, tf.eye(3)), 1));
      return [tf.mul(q, signs), tf.mul(r, tf.expandDims(signs, 1))];
    },
    [[3, 3]],
  ),
  smooth('bandPart', (x) => tf.linalg.bandPart(x, 1, 0), [[3, 4]]),
  smooth('gramSchmidt', (x) => tf.linalg.gramSchmidt(x) as tf.Tensor2D, [[2, 3]]),
  smooth('grayscaleToRGB', (x) => tf.image.grayscaleToRGB(x), [[2, 3, 1]]),
  smooth('meshgrid', (a, b) => tf.meshgrid(a, b), [[3], [4]]),
  smooth('frames of a signal', (x) => tf.signal.frame(x, 4, 2), [[10]]),
  smooth('ensureShape, cast', (x) => tf.cast(tf.ensureShape(x, [2, 3]), 'float32'), [[2, 3]]),
  smooth(
    'masked by comparisons',
    (a, b) => {
      const isBetween = tf.logicalAnd(tf.less(a, 1), tf.logicalNot(tf.lessEqual(b, -1)));
      const isAny = tf.logicalOr(tf.greaterEqual(a, b), tf.notEqual(a, b));
      const mask = tf.cast(tf.logicalAnd(isBetween, isAny), 'float32');
      return tf.add(tf.mul(tf.mul(a, b), mask), tf.onesLike(a));
    },
    PAIR,
  ),
  smooth(
    'masked by kinds of numbers',
    (x) => {
      const special = tf.logicalOr(
        tf.logicalNot(tf.isFinite(x)),
        tf.logicalOr(tf.isNaN(x), tf.isInf(x)),
      );
      const mask = tf.logicalOr(special, tf.all(tf.greater(x, -9), 1, true));
      return tf.where(mask, tf.square(x), x);
    },
    [[3, 4]],
  ),
  smooth('floorDiv', (a, b) => tf.mul(a, tf.cast(tf.floorDiv(a, positive(b)), 'float32')), PAIR),
  smooth(
    'chosen by argMax',
    (x) => {
      const best = tf.oneHot(tf.argMax(x, 1) as tf.Tensor1D, 4);
      const least = tf.oneHot(tf.argMin(x, 1) as tf.Tensor1D, 4);
      return tf.mul(x, tf.add(tf.cast(best, 'float32'), tf.cast(least, 'float32')));
    },
    [[3, 4]],
  ),
  underived('rgbToGrayscale', (x) => tf.image.rgbToGrayscale(x), [[2, 2, 3]]),
  ...transforms,
];

export const LOSS_CASES: readonly Case[] = [...lossCases, ...norms, ...composites];
