/** Operations element by element, and their broadcasting. */
import * as tf from '../tf.ts';
import { type Case, constant, edge, smooth, ties, underived, whole } from './case.ts';

type X = tf.Tensor;

/** Shapes of one input; the long one leaves a remainder after vectors of 4. */
const ONE = [[[9]], [[2, 3, 5]], [[1]], [[]], [[0, 3]]];
/** Shapes of two inputs that are broadcast against each other. */
const TWO = [
  [
    [3, 4],
    [3, 4],
  ],
  [[2, 3, 4], [4]],
  [
    [3, 1],
    [1, 5],
  ],
  [[], [7]],
  [
    [2, 1, 3, 1],
    [4, 1, 5],
  ],
  [[0, 3], [3]],
];

const away = (x: X): X => tf.add(tf.abs(x), 0.3);
/** True and false in turns. */
const alternating = (shape: number[]): X =>
  tf.tensor(
    Uint8Array.from({ length: tf.util.sizeFromShape(shape) }, (_, i) => i % 2),
    shape,
    'bool',
  );
const inside = (x: X): X => tf.mul(tf.tanh(x), 0.9);

const one: readonly Case[] = [
  smooth('abs', (x) => tf.abs(x), ...ONE),
  ties('abs', (x) => tf.abs(x), [[7]]),
  smooth('acos', (x) => tf.acos(inside(x)), ...ONE),
  smooth('asin', (x) => tf.asin(inside(x)), ...ONE),
  smooth('atan', (x) => tf.atan(x), ...ONE),
  smooth('acosh', (x) => tf.acosh(tf.add(away(x), 1)), ...ONE),
  smooth('asinh', (x) => tf.asinh(x), ...ONE),
  smooth('atanh', (x) => tf.atanh(inside(x)), ...ONE),
  smooth('sin', (x) => tf.sin(x), ...ONE),
  smooth('cos', (x) => tf.cos(x), ...ONE),
  smooth('tan', (x) => tf.tan(inside(x)), ...ONE),
  smooth('sinh', (x) => tf.sinh(x), ...ONE),
  smooth('cosh', (x) => tf.cosh(x), ...ONE),
  smooth('tanh', (x) => tf.tanh(x), ...ONE),
  smooth('exp', (x) => tf.exp(x), ...ONE),
  smooth('expm1', (x) => tf.expm1(x), ...ONE),
  smooth('log', (x) => tf.log(away(x)), ...ONE),
  smooth('log1p', (x) => tf.log1p(away(x)), ...ONE),
  edge('log of 0 and below', (x) => tf.log(tf.round(x)), [[9]]),
  smooth('sqrt', (x) => tf.sqrt(away(x)), ...ONE),
  smooth('rsqrt', (x) => tf.rsqrt(away(x)), ...ONE),
  smooth('square', (x) => tf.square(x), ...ONE),
  smooth('reciprocal', (x) => tf.reciprocal(away(x)), ...ONE),
  smooth('neg', (x) => tf.neg(x), ...ONE),
  smooth('erf', (x) => tf.erf(x), ...ONE),
  smooth('sigmoid', (x) => tf.sigmoid(tf.mul(x, 4)), ...ONE),
  smooth('logSigmoid', (x) => tf.logSigmoid(x), ...ONE),
  smooth('softplus', (x) => tf.softplus(x), ...ONE),
  smooth('softplus of large numbers', (x) => tf.softplus(tf.mul(x, 40)), [[9]]),
  smooth('relu', (x) => tf.relu(x), ...ONE),
  ties('relu', (x) => tf.relu(x), [[7]]),
  smooth('relu6', (x) => tf.relu6(tf.mul(x, 5)), ...ONE),
  ties('relu6', (x) => tf.relu6(tf.mul(x, 6)), [[7]]),
  smooth('leakyRelu', (x) => tf.leakyRelu(x, 0.3), ...ONE),
  ties('leakyRelu', (x) => tf.leakyRelu(x), [[7]]),
  smooth('elu', (x) => tf.elu(x), ...ONE),
  smooth('selu', (x) => tf.selu(x), ...ONE),
  ties('elu', (x) => tf.elu(x), [[7]]),
  ties('selu', (x) => tf.selu(x), [[7]]),
  smooth('clipByValue', (x) => tf.clipByValue(x, -0.7, 1.1), ...ONE),
  ties('clipByValue', (x) => tf.clipByValue(x, -0.5, 0.5), [[7]]),
  smooth('floor', (x) => tf.floor(x), [[9]]),
  smooth('ceil', (x) => tf.ceil(x), [[9]]),
  smooth('round', (x) => tf.round(x), [[8]]),
  ties('round to even', (x) => tf.round(tf.add(x, 3)), [[9]]),
  smooth('sign', (x) => tf.sign(x), [[9]]),
  ties('sign', (x) => tf.sign(x), [[9]]),
  smooth('step', (x) => tf.step(x, 0.3), [[9]]),
  ties('step', (x) => tf.step(x, 0.3), [[9]]),
  constant(
    'isNaN, isInf, isFinite',
    (x) => {
      const y = tf.div(tf.round(x), tf.relu(tf.round(x)));
      return [tf.isNaN(y), tf.isInf(y), tf.isFinite(y)];
    },
    [[9]],
  ),
  constant(
    'cast there and back',
    (x) => tf.add(x, tf.cast(tf.cast(tf.mul(x, 3), 'int32'), 'float32')),
    ...ONE,
  ),
  constant(
    'cast to bool and int32',
    (x) => [
      tf.cast(x, 'bool'),
      tf.cast(tf.mul(x, 9), 'int32'),
      tf.cast(tf.cast(x, 'bool'), 'float32'),
    ],
    [[9]],
  ),
  whole('abs, neg, sign, square', (x) => [tf.abs(x), tf.neg(x), tf.square(x)], [[9]]),
  constant('logicalNot', (x) => tf.logicalNot(tf.greater(x, 0)), [[9]]),
  constant('zerosLike and onesLike', (x) => [tf.zerosLike(x), tf.onesLike(x)], [[2, 3]]),
];

const two: readonly Case[] = [
  smooth('add', (a, b) => tf.add(a, b), ...TWO),
  smooth('sub', (a, b) => tf.sub(a, b), ...TWO),
  smooth('mul', (a, b) => tf.mul(a, b), ...TWO),
  smooth('div', (a, b) => tf.div(a, tf.add(tf.abs(b), 0.5)), ...TWO),
  smooth('divNoNan', (a, b) => tf.divNoNan(a, tf.add(tf.abs(b), 0.5)), ...TWO),
  edge('divNoNan by 0', (a) => tf.divNoNan(a, tf.round(a)), [[9]]),
  smooth('pow', (a, b) => tf.pow(away(a), b), ...TWO),
  smooth('pow of negatives', (a) => tf.pow(a, 3), ...ONE),
  smooth('pow of negatives, even', (a) => tf.pow(a, tf.scalar(2)), ...ONE),
  edge('pow, no number', (a, b) => tf.pow(a, b), [[9], [9]]),
  ties('pow of 0', (a) => tf.pow(a, 2), [[7]]),
  smooth('maximum', (a, b) => tf.maximum(a, b), ...TWO),
  smooth('minimum', (a, b) => tf.minimum(a, b), ...TWO),
  ties('maximum', (a, b) => tf.maximum(a, b), [[6], [6]], [[3, 4], [4]]),
  ties('minimum', (a, b) => tf.minimum(a, b), [[6], [6]], [[3, 4], [4]]),
  smooth('squaredDifference', (a, b) => tf.squaredDifference(a, b), ...TWO),
  smooth('atan2', (a, b) => tf.atan2(a, b), ...TWO),
  smooth('mod', (a, b) => tf.mod(tf.mul(a, 0.4), tf.add(tf.abs(b), 0.9)), ...TWO),
  edge('mod of any signs', (a, b) => tf.mod(tf.mul(a, 3), b), ...TWO),
  constant('floorDiv of any signs', (a, b) => tf.floorDiv(tf.mul(a, 3), b), ...TWO),
  whole(
    'mod and floorDiv',
    (a, b) => {
      const d = tf.add(tf.mul(b, 2), 1);
      return [tf.mod(a, d), tf.floorDiv(a, d)];
    },
    [[11], [11]],
    [[3, 4], [4]],
  ),
  whole(
    'add, sub, mul, maximum, minimum',
    (a, b) => [tf.add(a, b), tf.sub(a, b), tf.mul(a, b), tf.maximum(a, b), tf.minimum(a, b)],
    [[11], [11]],
    [[3, 4], [4]],
  ),
  whole('div', (a, b) => tf.div(a, tf.add(tf.mul(b, 2), 1)), [[11], [11]]),
  whole('pow', (a, b) => tf.pow(a, tf.abs(b)), [[11], [11]]),
  whole('squaredDifference', (a, b) => tf.squaredDifference(a, b), [[11], [11]]),
  whole('bitwiseAnd', (a, b) => tf.bitwiseAnd(a, b), [[11], [11]]),
  smooth('prelu', (x, a) => tf.prelu(x, a), ...TWO.slice(0, 2), [
    [2, 3, 4],
    [3, 1],
  ]),
  ties('prelu', (x, a) => tf.prelu(x, a), [[6], [6]]),
  smooth(
    'where',
    (a, b) => tf.where(alternating(a.shape), a, b),
    [
      [3, 4],
      [3, 4],
    ],
    [
      [0, 3],
      [0, 3],
    ],
  ),
  smooth(
    'where, broadcast',
    (a, b) => tf.where(alternating(b.shape), a, b),
    [[2, 3, 4], [4]],
    [
      [1, 4],
      [3, 1],
    ],
  ),
  constant(
    'comparisons',
    (a, b) => [
      tf.greater(a, b),
      tf.greaterEqual(a, b),
      tf.less(a, b),
      tf.lessEqual(a, b),
      tf.equal(a, b),
      tf.notEqual(a, b),
    ],
    ...TWO,
  ),
  whole(
    'comparisons',
    (a, b) => [tf.greater(a, b), tf.greaterEqual(a, b), tf.lessEqual(a, b), tf.equal(a, b)],
    [[11], [11]],
  ),
  constant(
    'logical',
    (a, b) => {
      const [p, q] = [tf.greater(a, 0), tf.greater(b, 0)];
      return [tf.logicalAnd(p, q), tf.logicalOr(p, q), tf.logicalXor(p, q)];
    },
    ...TWO,
  ),
  smooth('addN', (a, b, c) => tf.addN([a, b, c]), [
    [2, 3],
    [2, 3],
    [2, 3],
  ]),
  whole('addN', (a, b) => tf.addN([a, b]), [[5], [5]]),
  underived(
    'complex, real, imag',
    (a, b) => {
      const c = tf.complex(a, b);
      return [tf.real(c), tf.imag(c)];
    },
    [
      [2, 3],
      [2, 3],
    ],
  ),
];

const softmaxes: readonly Case[] = [
  smooth('softmax', (x) => tf.softmax(x), [[3, 5]], [[2, 3, 4]], [[7]]),
  smooth('logSoftmax', (x) => tf.logSoftmax(x), [[3, 5]], [[2, 2, 3]]),
  smooth('softmax of large numbers', (x) => tf.softmax(tf.mul(x, 200)), [[3, 5]]),
];

export const ELEMENT_CASES: readonly Case[] = [...one, ...two, ...softmaxes];
