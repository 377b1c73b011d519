/**
 * Differentiates one recorded operation. Trusts nothing that a gradient function returns: neither its shape nor whose
 * tensor it is.
 */
import { GradwireError } from '../errors.ts';
import { activeScopeId, type TapeNode, tf } from '../tensor/index.ts';

/**
 * Gradients of the `wanted` inputs of `node`, in their order, each a tensor of its own and kept: the caller owns them.
 * To be called in a tidy, which frees what is made on the way.
 *
 * @param dys gradients of the outputs; null stands for zeros, and not all are null
 * @throws GradwireError `no_gradient` if the operation has none for an input, or one of another shape or dtype
 */
export function gradientsOf(
  node: TapeNode,
  dys: (tf.Tensor | null)[],
  wanted: [name: string, input: tf.Tensor][],
): tf.Tensor[] {
  const scopeId = activeScopeId();
  const made = node.gradient?.(dys) ?? {};
  const owned = new Set<tf.Tensor>();
  for (const [name, input] of wanted) {
    const dx = made[name]?.();
    if (dx === undefined) {
      throw new GradwireError(
        'no_gradient',
        `${node.kernelName} has no gradient for its input ${name}`,
      );
    }
    if (dx.dtype !== 'float32' || !tf.util.arraysEqual(dx.shape, input.shape)) {
      throw new GradwireError(
        'no_gradient',
        `the gradient of ${node.kernelName} for its input ${name} is ${dx.dtype} [${dx.shape}], not float32 [${input.shape}]`,
      );
    }
    // Custom gradients may return dy itself, a saved tensor, somebody else's, or one for two inputs.
    const isOurs = dx.scopeId === scopeId && !dx.kept && !owned.has(dx);
    owned.add(isOurs ? dx : tf.clone(dx));
  }
  return [...owned].map((dx) => tf.keep(dx));
}
