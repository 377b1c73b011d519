/**
 * What users say of single tensors, for all contexts: that gradients are wanted for them, that theirs may stay sparse, and
 * what is to run when one has come. Knows neither graphs nor passes.
 */
import { GradwireError } from '../errors.ts';
import { type SparseSlices, tf } from '../tensor/index.ts';

/** A gradient as it is computed, sent and accumulated: of the shape of its tensor, or some of its rows. */
export type Gradient = tf.Tensor | SparseSlices;

/**
 * Sees the gradient that one pass brings for a tensor, complete and dense, before it is added to the context's. It may
 * return another, float32 of the same shape, that takes its place. Synchronous. What it makes and does not return is freed,
 * and `gradient` is not its own.
 */
export type GradientHook = (gradient: tf.Tensor) => tf.Tensor | undefined;

/** Runs when a pass has made its gradients visible, once for the tensor; `getGradients(contextId)` has them. */
export type PostAccumulateHook = (of: tf.Variable | tf.Tensor, contextId: string) => void;

/** What takes a hook away again. PyTorch: `torch.utils.hooks.RemovableHandle`. */
export interface HookHandle extends Disposable {
  /** Idempotent. */
  remove(): void;
}

const wanted = new WeakSet<tf.Tensor>();
const sparse = new WeakSet<tf.Tensor>();
const hooks = new WeakMap<tf.Tensor, Set<GradientHook>>();
const postHooks = new WeakMap<tf.Tensor, Set<PostAccumulateHook>>();
/** Most programs mark nothing, and every operation asks. */
let hasWanted = false;

/** Marks a tensor that is no Variable, or one that is not trainable, or takes the mark away. */
export function markWanted(tensor: tf.Tensor, isWanted: boolean): void {
  if (isWanted) wanted.add(tensor);
  else wanted.delete(tensor);
  hasWanted ||= isWanted;
}

/** Whether a gradient is wanted for what no recorded operation made: a trainable Variable, or a tensor that was marked. */
export function isLeaf(t: tf.Tensor): boolean {
  if (t.dtype !== 'float32') return false;
  return ('trainable' in t && t.trainable === true) || (hasWanted && wanted.has(t));
}

/**
 * Lets the gradient of `variable` stay sparse where all that is done with it is `tf.gather` along its first axis, which is
 * what an embedding layer does: from the operation over the wire to the optimizer, as rows in the order of the look-ups,
 * repeated ones not added up. Whatever else is done with it makes the gradient dense. For Variables and tensors that
 * `requiresGrad` marks. PyTorch: `nn.Embedding(sparse=True)`.
 *
 * @returns the variable
 * @throws GradwireError `invalid_argument` for what is no float32 tensor of at least one dimension
 */
export function sparseGradient<T extends tf.Tensor>(variable: T): T {
  if (!(variable instanceof tf.Tensor) || variable.rank === 0 || variable.dtype !== 'float32') {
    const message = 'only a float32 tensor of at least one dimension can have sparse gradients';
    throw new GradwireError('invalid_argument', message);
  }
  sparse.add(variable);
  return variable;
}

export function isSparse(t: tf.Tensor): boolean {
  return sparse.has(t);
}

/**
 * Has `hook` run on the gradient that each pass brings for `of` on this worker: a Variable or a tensor that
 * `requiresGrad` marked. Hooks run in the order of registration, each on what the one before returned; what one
 * throws fails the pass. A tensor with hooks has dense gradients. PyTorch: `Tensor.register_hook`.
 *
 * @throws GradwireError `invalid_argument`
 */
export function registerHook(of: tf.Variable | tf.Tensor, hook: GradientHook): HookHandle {
  return add(hooks, of, hook);
}

/**
 * Has `hook` run whenever a pass has made a gradient of `of` visible on this worker, also one that was replaced. What it
 * throws ends the context on all workers, since gradients of the pass are visible by then. PyTorch:
 * `Tensor.register_post_accumulate_grad_hook`.
 *
 * @throws GradwireError `invalid_argument`
 */
export function registerPostAccumulateHook(
  of: tf.Variable | tf.Tensor,
  hook: PostAccumulateHook,
): HookHandle {
  return add(postHooks, of, hook);
}

export function hasHooks(t: tf.Tensor): boolean {
  return (hooks.get(t)?.size ?? 0) > 0;
}

/** The gradient of `of` after its hooks, kept. Uses `gradient` up, also when a hook throws. */
export function afterHooks(of: tf.Tensor, gradient: tf.Tensor): tf.Tensor {
  let current = gradient;
  for (const hook of [...(hooks.get(of) ?? [])]) {
    const before = current;
    try {
      const made = tf.tidy(() => {
        const replaced = hook(before) ?? before;
        checkReplaced(of, replaced);
        // It may be anybody's: a clone shares its memory, not its owner.
        return [tf.keep(tf.clone(replaced))];
      });
      current = made[0] as tf.Tensor;
    } finally {
      before.dispose();
    }
  }
  return current;
}

export function runPostHooks(of: tf.Tensor, contextId: string): void {
  for (const hook of [...(postHooks.get(of) ?? [])]) tf.tidy(() => hook(of, contextId));
}

function checkReplaced(of: tf.Tensor, gradient: unknown): asserts gradient is tf.Tensor {
  const isFit =
    gradient instanceof tf.Tensor &&
    gradient.dtype === 'float32' &&
    tf.util.arraysEqual(gradient.shape, of.shape);
  if (isFit) return;
  const message = `a gradient hook returned what is no float32 tensor of shape [${of.shape}]`;
  throw new GradwireError('invalid_argument', message);
}

function add<H>(table: WeakMap<tf.Tensor, Set<H>>, of: tf.Tensor, hook: H): HookHandle {
  if (!(of instanceof tf.Tensor) || typeof hook !== 'function') {
    throw new GradwireError('invalid_argument', 'a hook is a function, for a Variable or tensor');
  }
  const present = table.get(of) ?? new Set<H>();
  // Each registration counts, of the same function too.
  const own = ((...args: never[]) => (hook as (...args: never[]) => unknown)(...args)) as H;
  table.set(of, present.add(own));
  const remove = (): void => {
    present.delete(own);
  };
  return { remove, [Symbol.dispose]: remove };
}
