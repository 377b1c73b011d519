/** Losses of PyTorch's torch.nn.functional, and the mean that many figures are. */
import { tf } from 'gradwire';

/** Mean negative log-likelihood of targets `[n]` under log-probabilities `[n, classes]`. PyTorch: `F.nll_loss`. */
export function nllLoss(logProbs: tf.Tensor2D, target: tf.Tensor1D): tf.Scalar {
  return tf.tidy(() => {
    const chosen = tf.mul(logProbs, tf.oneHot(target, logProbs.shape[1]));
    return tf.neg(tf.mean(tf.sum(chosen, 1)));
  });
}

/** Mean cross entropy of scores `[n, classes]` for targets `[n]`. PyTorch: `F.cross_entropy`. */
export function crossEntropy(scores: tf.Tensor2D, target: tf.Tensor1D): tf.Scalar {
  return tf.tidy(() => nllLoss(tf.logSoftmax(scores, 1), target));
}

export function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}
