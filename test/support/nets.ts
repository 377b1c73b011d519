/** Small networks whose forward can be taken one operation at a time. */
import { setImmediate } from 'node:timers/promises';
import { tf } from '../../tensor/index.ts';
import { randomTensor, randomVariable } from './numbers.ts';

export interface Net {
  readonly variables: tf.Variable[];
  /** The forward, one operation a step; returns the scalar loss. */
  steps(): Generator<tf.Tensor, tf.Tensor>;
  dispose(): void;
}

const BATCH = 3;
const CLASSES = 5;

/** Dense, relu, a fixed dropout mask, dense, log-softmax and negative log-likelihood: runs on every engine. */
export function denseNet(seed: number): Net {
  const x = randomTensor([BATCH, 6], seed + 1);
  const mask = dropoutMask([BATCH, 8], seed + 2);
  const labels = oneHotLabels();
  const w1 = randomVariable([6, 8], seed + 3, 0.5);
  const b1 = randomVariable([8], seed + 4, 0.1);
  const w2 = randomVariable([8, CLASSES], seed + 5, 0.5);
  const b2 = randomVariable([CLASSES], seed + 6, 0.1);
  return net([w1, b1, w2, b2], [x, mask, labels], function* () {
    let h: tf.Tensor = tf.matMul(x as tf.Tensor2D, w1 as unknown as tf.Tensor2D);
    yield h;
    h = tf.add(h, b1);
    yield h;
    h = tf.relu(h);
    yield h;
    h = tf.mul(h, mask);
    yield h;
    h = tf.matMul(h as tf.Tensor2D, w2 as unknown as tf.Tensor2D);
    yield h;
    h = tf.add(h, b2);
    yield h;
    return yield* likelihood(h, labels);
  });
}

/** A convolutional network with pooling; needs the filter gradient. */
export function convNet(seed: number): Net {
  const x = randomTensor([BATCH, 8, 8, 1], seed + 1) as tf.Tensor4D;
  const mask = dropoutMask([BATCH, 2, 2, 4], seed + 2);
  const labels = oneHotLabels();
  const w1 = randomVariable([3, 3, 1, 2], seed + 3, 0.3);
  const b1 = randomVariable([2], seed + 4, 0.1);
  const w2 = randomVariable([3, 3, 2, 4], seed + 5, 0.2);
  const w3 = randomVariable([16, CLASSES], seed + 6, 0.2);
  const b3 = randomVariable([CLASSES], seed + 7, 0.1);
  return net([w1, b1, w2, w3, b3], [x, mask, labels], function* () {
    let h: tf.Tensor = tf.conv2d(x, w1 as unknown as tf.Tensor4D, 1, 'valid');
    yield h;
    h = tf.relu(tf.add(h, b1));
    yield h;
    h = tf.relu(tf.conv2d(h as tf.Tensor4D, w2 as unknown as tf.Tensor4D, 1, 'valid'));
    yield h;
    h = tf.maxPool(h as tf.Tensor4D, 2, 2, 'valid');
    yield h;
    h = tf.mul(h, mask);
    yield h;
    h = tf.reshape(h, [BATCH, 16]);
    yield h;
    h = tf.add(tf.matMul(h as tf.Tensor2D, w3 as unknown as tf.Tensor2D), b3);
    yield h;
    return yield* likelihood(h, labels);
  });
}

/** The loss at once. */
export function lossOf(net: Net): tf.Scalar {
  const steps = net.steps();
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done) return step.value as tf.Scalar;
  }
}

/** The loss with a turn of the event loop after each operation. */
export async function lossAcrossAwaits(
  net: Net,
  afterEach: () => void = () => {},
): Promise<tf.Scalar> {
  const steps = net.steps();
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done) return step.value as tf.Scalar;
    await setImmediate();
    afterEach();
  }
}

function* likelihood(logits: tf.Tensor, labels: tf.Tensor): Generator<tf.Tensor, tf.Tensor> {
  const logProbabilities = tf.logSoftmax(logits);
  yield logProbabilities;
  const picked = tf.sum(tf.mul(logProbabilities, labels), 1);
  yield picked;
  return tf.neg(tf.mean(picked));
}

function net(
  variables: tf.Variable[],
  constants: tf.Tensor[],
  steps: () => Generator<tf.Tensor, tf.Tensor>,
): Net {
  return { variables, steps, dispose: () => tf.dispose([...variables, ...constants]) };
}

function dropoutMask(shape: number[], seed: number): tf.Tensor {
  return tf.tidy(() =>
    tf.mul(tf.cast(tf.greater(randomTensor(shape, seed), -0.5), 'float32'), 4 / 3),
  );
}

function oneHotLabels(): tf.Tensor {
  return tf.tidy(() => tf.cast(tf.oneHot(tf.tensor1d([1, 4, 0], 'int32'), CLASSES), 'float32'));
}
