/** What `backward` is given, checked before anything is started. Knows nothing of messages. */
import { GradwireError } from '../errors.ts';
import { tf } from '../tensor/index.ts';
import { assertFits } from './gradient-sums.ts';
import type { Graph } from './graph.ts';
import type { PassStart } from './pass-share.ts';

/** How long a pass may take in all, in ms, where the caller sets nothing. */
const BACKWARD_TIMEOUT_MS = 600_000;

export interface BackwardOptions {
  /** Keeps the graph, so that `backward` can be called again. Default: false. */
  readonly retainGraph?: boolean;
  /** How long the pass may take on all workers, in ms. Default: 600,000. */
  readonly timeoutMs?: number;
  /**
   * Gradients to start from, float32, one for each root and of its shape; they stay the caller's. Default: ones, and then
   * roots are scalars. PyTorch: `grad_tensors` of `torch.autograd.backward`.
   */
  readonly gradients?: readonly tf.Tensor[];
  /**
   * Has every worker look for NaN: the pass fails, naming the worker and the operation in which one first appeared, in the
   * forward pass or in a gradient. Reads every tensor back, so it is slow. Default: false. PyTorch:
   * `torch.autograd.detect_anomaly`.
   */
  readonly detectAnomaly?: boolean;
}

/** What all workers are told of a new pass. @throws GradwireError `invalid_argument` */
export function startOf(initiator: number, count: number, options: BackwardOptions): PassStart {
  const { retainGraph = false, detectAnomaly = false } = options;
  const { timeoutMs = BACKWARD_TIMEOUT_MS } = options;
  checkTimeout(timeoutMs);
  return { id: `${initiator}.${count}`, initiator, retainGraph, timeoutMs, detectAnomaly };
}

/** @throws GradwireError `invalid_argument` unless positive; Infinity is allowed */
function checkTimeout(timeoutMs: number): void {
  if (typeof timeoutMs === 'number' && timeoutMs > 0) return;
  throw new GradwireError(
    'invalid_argument',
    `timeoutMs ${timeoutMs} is not a positive number of milliseconds`,
  );
}

/**
 * @param gradients one for each root, of its shape; without them roots are scalars
 * @throws GradwireError `invalid_argument`, `no_gradient`, `tensor_freed`
 */
export function checkRoots(
  graph: Graph,
  roots: readonly tf.Tensor[],
  gradients: readonly tf.Tensor[] | undefined,
): void {
  if (!Array.isArray(roots) || roots.length === 0) {
    throw new GradwireError('invalid_argument', 'backward needs a list of at least one root');
  }
  if (gradients !== undefined && (!Array.isArray(gradients) || gradients.length !== roots.length)) {
    throw new GradwireError(
      'invalid_argument',
      'backward needs one gradient for each root, or none',
    );
  }
  for (const [i, root] of roots.entries()) {
    if (!(root instanceof tf.Tensor)) {
      throw new GradwireError('invalid_argument', 'a root of backward is not a tensor');
    }
    if (gradients === undefined && root.size !== 1) {
      throw new GradwireError(
        'invalid_argument',
        `a root of backward has shape [${root.shape}]; it must be a scalar, such as a mean, or have a gradient of its own`,
      );
    }
    if (!graph.requiresGrad(root)) {
      throw new GradwireError(
        'no_gradient',
        'a root of backward depends on no variable and on nothing received in this context',
      );
    }
    const gradient: unknown = gradients?.[i];
    if (gradient === undefined) continue;
    if (!(gradient instanceof tf.Tensor)) {
      throw new GradwireError('invalid_argument', 'a gradient of a root is not a tensor');
    }
    assertFits(root, gradient);
  }
}
