/**
 * Tensors that are needed beyond the scope or tidy that owns them, by gradient functions that use them later. Whoever
 * claims one does not own it: when the owner would free it, it lives on until the last claim is given up.
 * Not covered: a tensor claimed in a tidy inside a tidy, returned by the inner one and freed by the outer one.
 */
import { takeFromTidy } from './engine-state.ts';
import type * as tf from './tf.ts';

interface Claim {
  count: number;
  /** Its owner has given it up. */
  isOrphan: boolean;
  /** Id of the tidy that it was taken from; a tensor that the tidy returned has another owner's id by now. */
  tidyId: number | undefined;
}

const claims: WeakMap<tf.Tensor, Claim> = new WeakMap();

/** Lets `tensor` live until `unclaim` is called as often. Disposing it by hand frees it all the same. */
export function claim(tensor: tf.Tensor): void {
  const known = claims.get(tensor) ?? { count: 0, isOrphan: false, tidyId: undefined };
  claims.set(tensor, known);
  known.count++;
  if (takeFromTidy(tensor)) known.tidyId = tensor.scopeId;
}

/** Gives a claim up; the last one frees the tensor, if nobody owns it any more. */
export function unclaim(tensor: tf.Tensor): void {
  const known = claims.get(tensor);
  if (known === undefined || --known.count > 0) return;
  claims.delete(tensor);
  const isLeftOver = known.tidyId === tensor.scopeId && !tensor.kept;
  if (known.isOrphan || isLeftOver) tensor.dispose();
}

/** What an owner does with a tensor at its end: frees it, or leaves it to those who have claimed it. */
export function freeUnclaimed(tensor: tf.Tensor): void {
  const known = claims.get(tensor);
  if (known === undefined) tensor.dispose();
  else known.isOrphan = true;
}
