/** Finds where a computation first went wrong, among what a graph has recorded. Reads many tensors: for debugging alone. */
import type { TapeNode, tf } from '../tensor/index.ts';
import { hasNaN } from './gradient-sums.ts';
import type { Graph } from './graph.ts';
import { nameOf } from './node-gradients.ts';

/**
 * Looks at all values that `roots` depend on, as far as they are still there.
 *
 * @param broken tensors that were sent, of which the receiver says that they have NaN
 * @throws Error naming the first operation that made NaN of inputs without one. NaN that came
 *   from another worker is found there.
 */
export function assertValues(
  { tape }: Graph,
  roots: readonly tf.Tensor[],
  broken: readonly tf.Tensor[],
): void {
  const isBroken = (t: tf.Tensor): boolean => broken.includes(t) || (!t.isDisposed && hasNaN(t));
  for (const node of tape.upstream(roots)) {
    const inputs = Object.values(node.inputs).filter((t) => t != null);
    if (inputs.some(isBroken) || !(node.outputs.some(isBroken) || savedOutput(node))) continue;
    throw new Error(`NaN first appeared in the forward pass, in what ${nameOf(node)} made`);
  }
}

/** Of a result that was freed a copy may have been saved. */
function savedOutput({ saved }: TapeNode): boolean {
  return saved.some((t) => !t.isDisposed && hasNaN(t));
}

/** Which of `leaves` have NaN, by position. */
export function brokenOf(leaves: readonly tf.Tensor[]): number[] {
  return [...leaves.keys()].filter((i) => {
    const leaf = leaves[i] as tf.Tensor;
    return !leaf.isDisposed && hasNaN(leaf);
  });
}
