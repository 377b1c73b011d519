/** Deterministic tensors and comparisons for tests. */
import { tf } from '../../tensor/index.ts';

/** Numbers in [0, 1) from a seed. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** A float32 tensor with elements in [-scale, scale); the caller disposes it. */
export function randomTensor(shape: number[], seed: number, scale = 1): tf.Tensor {
  const next = randomNumbers(seed);
  const values = Float32Array.from({ length: tf.util.sizeFromShape(shape) }, () => {
    return (2 * next() - 1) * scale;
  });
  return tf.tensor(values, shape);
}

/** A trainable variable like `randomTensor`. */
export function randomVariable(shape: number[], seed: number, scale = 1): tf.Variable {
  return tf.tidy(() => tf.variable(randomTensor(shape, seed, scale)));
}

/** Largest difference, relative to the largest absolute value of `expected`. */
export function relativeDifference(actual: tf.Tensor, expected: tf.Tensor): number {
  const a = actual.dataSync();
  const b = expected.dataSync();
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let difference = 0;
  let largest = 0;
  for (const [i, value] of b.entries()) {
    // NaN on one side must not pass as equal.
    difference = Math.max(difference, Math.abs((a[i] ?? Number.NaN) - value));
    largest = Math.max(largest, Math.abs(value));
  }
  return difference / (largest || 1);
}
