/**
 * Differentiates one recorded operation. Trusts nothing that a gradient function returns: neither its shape nor whose
 * tensor it is.
 */
import { asError, GradwireError, isGradwireError } from '../errors.ts';
import { activeScopeId, rowsOf, SparseSlices, type TapeNode, tf } from '../tensor/index.ts';
import { hasNaN } from './gradient-sums.ts';
import type { Gradient } from './leaves.ts';

/** What tfjs says when a freed tensor is read. */
const USE_OF_FREED = /is disposed/;

/** An input of a node for which a gradient is wanted. */
export interface Wanted {
  readonly name: string;
  readonly input: tf.Tensor;
  /** Whether some of its rows will do, where the operation can say which. */
  readonly isSparse: boolean;
}

/**
 * Gradients of the `wanted` inputs of `node`, in their order, each of its own and kept: the caller owns them.
 * To be called in a tidy, which frees what is made on the way.
 *
 * @param dys gradients of the outputs; null stands for zeros, and not all are null
 * @throws GradwireError `no_gradient` if the operation has none for an input, or one of another shape or dtype; what a
 *   gradient function throws, saying of which operation
 */
export function gradientsOf(
  node: TapeNode,
  dys: (tf.Tensor | null)[],
  wanted: readonly Wanted[],
): Gradient[] {
  const scopeId = activeScopeId();
  const made = run(node, () => node.gradient?.(dys)) ?? {};
  const owned = new Set<tf.Tensor>();
  const gradients = wanted.map(({ name, input, isSparse }): Gradient => {
    const rows = isSparse && made[name] !== undefined ? rowsOf(made[name]) : undefined;
    if (rows !== undefined) {
      const { indices, values } = rows();
      const slices = new SparseSlices(indices, values, input.shape);
      owned.add(indices).add(values);
      return slices;
    }
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
    const own = isOurs ? dx : tf.clone(dx);
    owned.add(own);
    return own;
  });
  for (const dx of owned) tf.keep(dx);
  return gradients;
}

/**
 * What came into the node was checked where it was made, so what is wrong now is its own.
 *
 * @throws Error if one of `dxs`, in the order of `wanted`, has NaN; all are disposed then
 */
export function assertNumbers(
  node: TapeNode,
  wanted: readonly Wanted[],
  dxs: readonly Gradient[],
): void {
  const at = dxs.findIndex(hasNaN);
  if (at < 0) return;
  for (const dx of dxs) dx.dispose();
  const name = wanted[at]?.name;
  throw new Error(`NaN first appeared in the gradient of ${nameOf(node)}, for its input ${name}`);
}

/** The operation as its user knows it: tfjs names a custom one after the scope that it ran in. */
export function nameOf({ kernelName }: TapeNode): string {
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
