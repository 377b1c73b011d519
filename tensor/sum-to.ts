/** The inverse of broadcasting, which the gradients of all operations that broadcast need. */
import * as core from '@tensorflow/tfjs-core';

/** Adds up a tensor of a broadcast shape over the axes along which one of `shape` was repeated. */
export function sumTo(x: core.Tensor, shape: number[]): core.Tensor {
  const axes = core.broadcast_util.getReductionAxes(shape, x.shape);
  return core.util.arraysEqual(x.shape, shape) ? x : core.reshape(core.sum(x, axes), shape);
}
