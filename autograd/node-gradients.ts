/**
 * Differentiates one recorded operation. Trusts nothing that a gradient function returns: neither its shape nor whose
 * tensor it is.
 */
import { asError, GradwireError, isGradwireError } from '../errors.ts';
import { activeScopeId, type TapeNode, tf } from '../tensor/index.ts';

/** What tfjs says when a freed tensor is read. */
const USE_OF_FREED = /is disposed/;

/**
 * Gradients of the `wanted` inputs of `node`, in their order, each a tensor of its own and kept: the caller owns them.
 * To be called in a tidy, which frees what is made on the way.
 *
 * @param dys gradients of the outputs; null stands for zeros, and not all are null
 * @throws GradwireError `no_gradient` if the operation has none for an input, or one of another shape or dtype; what a
 *   gradient function throws, saying of which operation
 */
export function gradientsOf(
  node: TapeNode,
  dys: (tf.Tensor | null)[],
  wanted: [name: string, input: tf.Tensor][],
): tf.Tensor[] {
  const scopeId = activeScopeId();
  const made = run(node, () => node.gradient?.(dys)) ?? {};
  const owned = new Set<tf.Tensor>();
  for (const [name, input] of wanted) {
    const dx = run(node, () => made[name]?.());
    if (dx === undefined) {
      throw new GradwireError(
        'no_gradient',
        `${nameOf(node)} has no gradient for its input ${name}`,
      );
    }
    if (dx.dtype !== 'float32' || !tf.util.arraysEqual(dx.shape, input.shape)) {
      throw new GradwireError(
        'no_gradient',
        `the gradient of ${nameOf(node)} for its input ${name} is ${dx.dtype} [${dx.shape}], not float32 [${input.shape}]`,
      );
    }
    // Custom gradients may return dy itself, a saved tensor, somebody else's, or one for two inputs.
    const isOurs = dx.scopeId === scopeId && !dx.kept && !owned.has(dx);
    owned.add(isOurs ? dx : tf.clone(dx));
  }
  return [...owned].map((dx) => tf.keep(dx));
}

/** The operation as its user knows it: tfjs names a custom one after the scope that it ran in. */
function nameOf({ kernelName }: TapeNode): string {
  const isNamed = kernelName !== '' && !/^(gradwire\.|unnamed scope$)/.test(kernelName);
  return isNamed ? kernelName : 'a custom operation';
}

function run<R>(node: TapeNode, work: () => R): R {
  try {
    return work();
  } catch (thrown) {
    const cause = asError(thrown);
    if (isGradwireError(thrown, 'tensor_freed') || USE_OF_FREED.test(cause.message)) {
      throw new GradwireError(
        'tensor_freed',
        `in the gradient of ${nameOf(node)}; it uses a tensor that was freed: give it what it needs as inputs, or by save`,
        { cause },
      );
    }
    if (isGradwireError(thrown)) throw thrown;
    const message = `${cause.message} (in the gradient of ${nameOf(node)})`;
    const error = new Error(message, { cause });
    Object.defineProperty(error, 'name', { value: cause.name });
    throw error;
  }
}
