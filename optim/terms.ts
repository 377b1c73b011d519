/** Terms that several update rules have in common. */
import { tf } from '../tensor/index.ts';

/** keep · mean + (1 − keep) · next, from a mean of zero if there is none yet. */
export function movingMean(mean: tf.Tensor | undefined, next: tf.Tensor, keep: number): tf.Tensor {
  const added = tf.mul(next, 1 - keep);
  return mean === undefined ? added : tf.add(tf.mul(mean, keep), added);
}

/** The gradient of the loss with an L2 penalty: g + weightDecay · p. */
export function withPenalty(
  gradient: tf.Tensor,
  parameter: tf.Tensor,
  weightDecay: number,
): tf.Tensor {
  return weightDecay === 0 ? gradient : tf.add(gradient, tf.mul(parameter, weightDecay));
}
