/** Distributed autograd as the user calls it. PyTorch: `torch.distributed.autograd`. */
import { GradwireError } from '../errors.ts';
import { currentWorker, type WorkerCore } from '../rpc/internal.ts';
import { collectTensors, frameSlot, tf } from '../tensor/index.ts';
import type { BackwardOptions } from './backward-arguments.ts';
import type { ContextId } from './context-id.ts';
import { Graph } from './graph.ts';
import { type Gradient, markWanted } from './leaves.ts';
import { type AutogradShare, shareOf } from './plugin.ts';

export interface ContextOptions {
  /**
   * Whether gradients are taken of gradients that `tf.grads` and its like make inside, on any worker (a gradient penalty).
   * The gradients of `backward` itself are constants. Costs a node for each saved tensor. Default: false.
   */
  readonly higherOrder?: boolean;
}

/**
 * Runs `fn` in a new distributed autograd context: operations and calls in it are recorded, here and on every worker that
 * the calls reach. At its end everything of the context is freed on all of them: tensors made inside that are not
 * returned or kept, gradients, saved tensors. PyTorch: `dist_autograd.context`.
 */
export async function context<R>(
  fn: (contextId: ContextId) => R | Promise<R>,
  options: ContextOptions = {},
): Promise<R> {
  const { contexts } = currentShare();
  const { id, graph } = contexts.create(options);
  try {
    const result = await graph.run(() => fn(id));
    // What is returned belongs to whoever surrounds: a handler, another context, or the caller.
    const surroundings = frameSlot.get()?.scope;
    for (const tensor of collectTensors(result)) {
      if (!graph.scope.owns(tensor)) continue;
      graph.scope.release(tensor);
      surroundings?.track.push(tensor);
    }
    return result;
  } finally {
    contexts.release(id);
  }
}

/**
 * Runs `fn` in a context that is open on this worker: for callbacks of emitters, timers and Observables, which run in the
 * flow that made them. @throws GradwireError `unknown_context`, `context_released`
 */
export function run<R>(contextId: ContextId, fn: () => R): R {
  return currentShare().contexts.get(contextId).graph.run(fn);
}

/**
 * Computes the gradients of the sum of `roots` (made in the context on this worker, or received in it) with respect to
 * every trainable variable, and every tensor that `requiresGrad` marks, that they depend on, on all workers; read
 * them by `getGradients` where the variables are. Gradients of several passes add up. Results that do not lead to a root
 * are no matter. The roots stay the caller's; they are scalars unless `options.gradients` says where to start. PyTorch:
 * `dist_autograd.backward`.
 *
 * @throws GradwireError as rejection: `backward_failed` naming the worker, and then no gradient of the pass is visible
 * anywhere (if the worker died while they became visible, the context is over with it); `no_gradient`, `graph_freed`,
 * `invalid_argument`, `unknown_context`, `context_released`
 */
export async function backward(
  contextId: ContextId,
  roots: readonly tf.Tensor[],
  options: BackwardOptions = {},
): Promise<void> {
  await currentShare().engine.backward(contextId, roots, options);
}

export interface GradientsOptions {
  /** Leaves the gradients that `sparseGradient` asked for as `SparseSlices`. Default: false, all are dense tensors. */
  readonly sparse?: boolean;
}

/**
 * The gradients that have been accumulated in the context for variables of this worker, which may be any that takes part in
 * it. They belong to the context and are valid until its end or the next pass in it: `tf.clone` what is to stay. PyTorch:
 * `dist_autograd.get_gradients`.
 *
 * @throws GradwireError `unknown_context`, `context_released`
 */
export function getGradients(
  contextId: ContextId,
  options: { readonly sparse: true },
): ReadonlyMap<tf.Variable | tf.Tensor, Gradient>;
export function getGradients(
  contextId: ContextId,
  options?: { readonly sparse?: false },
): ReadonlyMap<tf.Variable | tf.Tensor, tf.Tensor>;
export function getGradients(
  contextId: ContextId,
  { sparse = false }: GradientsOptions = {},
): ReadonlyMap<tf.Variable | tf.Tensor, Gradient> {
  const { graph } = currentShare().contexts.get(contextId);
  return sparse ? new Map(graph.accumulated) : graph.gradients;
}

/**
 * Has gradients computed for `tensor`, in all contexts from now on, as they are for trainable variables: it is among the
 * keys of `getGradients`. For tensors that no recorded operation made and that were not received in the current context.
 * PyTorch: `Tensor.requires_grad_`.
 *
 * @param isWanted false takes it back, for contexts that have not used the tensor yet
 * @returns the tensor
 * @throws GradwireError `no_gradient` for another dtype than float32; `invalid_argument` for a result or received tensor
 */
export function requiresGrad<T extends tf.Tensor>(tensor: T, isWanted = true): T {
  if (!(tensor instanceof tf.Tensor)) {
    throw new GradwireError('invalid_argument', 'requiresGrad is for tensors');
  }
  if (tensor.dtype !== 'float32') {
    const message = `a ${tensor.dtype} tensor has no gradient, only float32 has`;
    throw new GradwireError('no_gradient', message);
  }
  if (Graph.current()?.isLeafOrUnknown(tensor) === false) {
    const message =
      'the tensor is a result or was received in this context: it has a gradient, which is passed on';
    throw new GradwireError('invalid_argument', message);
  }
  markWanted(tensor, isWanted);
  return tensor;
}

/** Whether a gradient can flow into `tensor` in the current context; never outside one. PyTorch: `Tensor.requires_grad`. */
export function needsGrad(tensor: tf.Tensor): boolean {
  return Graph.current()?.requiresGrad(tensor) ?? false;
}

function currentShare(): AutogradShare {
  const worker = currentWorker<WorkerCore>();
  const share = shareOf(worker);
  if (share !== undefined) return share;
  throw new GradwireError(
    'not_initialized',
    `${worker.info.name} was made before autograd was loaded`,
  );
}
