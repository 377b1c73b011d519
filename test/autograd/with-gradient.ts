/** Things that happen in the middle of a backward pass. */
import { tf } from '../../index.ts';

/** The identity; its gradient calls `fn` first. */
export function withGradient(x: tf.Tensor, fn: () => void): tf.Tensor {
  const op = tf.customGrad((y: unknown) => ({
    value: tf.clone(y as tf.Tensor),
    gradFunc: (dy: tf.Tensor) => {
      fn();
      return tf.clone(dy);
    },
  }));
  return op(x);
}

/** Holds the event loop. */
export function computeFor(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}
