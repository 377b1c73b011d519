/** Distributed autograd as the user calls it. PyTorch: `torch.distributed.autograd`. */
import { GradwireError } from '../errors.ts';
import { currentWorker, type WorkerCore } from '../rpc/internal.ts';
import { collectTensors, frameSlot, type tf } from '../tensor/index.ts';
import type { ContextId } from './context-id.ts';
import type { BackwardOptions } from './dist-engine.ts';
import { type AutogradShare, shareOf } from './plugin.ts';

/**
 * Runs `fn` in a new distributed autograd context: operations and calls in it are recorded, here and on every worker that
 * the calls reach. At its end everything of the context is freed on all of them: tensors made inside that are not
 * returned or kept, gradients, saved tensors. PyTorch: `dist_autograd.context`.
 */
export async function context<R>(fn: (contextId: ContextId) => R | Promise<R>): Promise<R> {
  const { contexts } = currentShare();
  const { id, graph } = contexts.create();
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
 * Computes the gradients of the sum of `roots` (scalars made in the context on this worker) with respect to every trainable
 * variable that they depend on, on all workers; read them by `getGradients` where the variables are. Gradients of
 * several passes add up. Results that do not lead to a root are no matter. The roots stay the caller's. PyTorch:
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

/**
 * The gradients that have been accumulated in the context for variables of this worker. They belong to the context and are
 * valid until its end or the next pass in it: `tf.clone` what is to stay. PyTorch: `dist_autograd.get_gradients`.
 *
 * @throws GradwireError `unknown_context`, `context_released`
 */
export function getGradients(
  contextId: ContextId,
): ReadonlyMap<tf.Variable | tf.Tensor, tf.Tensor> {
  return new Map(currentShare().contexts.get(contextId).graph.gradients);
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
