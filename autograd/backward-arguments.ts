/** What `backward` is given, checked before anything is started. */
import { GradwireError } from '../errors.ts';
import { tf } from '../tensor/index.ts';
import type { Graph } from './graph.ts';

/** @throws GradwireError `invalid_argument` unless positive; Infinity is allowed */
export function checkTimeout(timeoutMs: number): void {
  if (typeof timeoutMs === 'number' && timeoutMs > 0) return;
  throw new GradwireError(
    'invalid_argument',
    `timeoutMs ${timeoutMs} is not a positive number of milliseconds`,
  );
}

/** @throws GradwireError `invalid_argument`, `no_gradient` */
export function checkRoots(graph: Graph, roots: readonly tf.Tensor[]): void {
  if (!Array.isArray(roots) || roots.length === 0) {
    throw new GradwireError('invalid_argument', 'backward needs a list of at least one root');
  }
  for (const root of roots) {
    if (!(root instanceof tf.Tensor)) {
      throw new GradwireError('invalid_argument', 'a root of backward is not a tensor');
    }
    if (root.size !== 1) {
      throw new GradwireError(
        'invalid_argument',
        `a root of backward has shape [${root.shape}]; it must be a scalar, such as a mean`,
      );
    }
    if (!graph.requiresGrad(root)) {
      throw new GradwireError(
        'no_gradient',
        'a root of backward depends on no variable and on nothing received in this context',
      );
    }
  }
}
