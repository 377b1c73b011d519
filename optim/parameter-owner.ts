/**
 * What a worker that owns parameters promises to whoever drives a step over several of them, and the driver: first all prepare, then
 * all commit. Carries promise P8. Pure: it knows neither references nor optimizers.
 */
import type { ContextId } from '../autograd/index.ts';

/** Owns parameters and updates them by the gradients of contexts, in two phases. */
export interface ParameterOwner {
  /**
   * Makes sure that the step can be done: does all that may fail, with nothing visible. What it keeps for the step it keeps until
   * `commit` or `abort`, or its own end.
   *
   * @param step number of the step, chosen by the driver, never used twice
   */
  prepare(contextId: ContextId, step: number): Promise<void>;

  /** Puts a prepared step in force. Steps of other drivers in between are not lost: it comes on top of them. */
  commit(step: number): Promise<void>;

  /** Drops a step, prepared or not; nothing was visible of it. */
  abort(step: number): Promise<void>;
}

/**
 * One step on all owners or on none. It fails with the first failure of any of them: in `prepare` all are aborted and no parameter has
 * changed; in `commit`, which only the loss of an owner or of its answer can make fail, the step is in force on all that are left.
 */
export async function stepAll(
  owners: readonly ParameterOwner[],
  contextId: ContextId,
  step: number,
): Promise<void> {
  try {
    await settleAll(owners.map(async (owner) => owner.prepare(contextId, step)));
  } catch (error) {
    await Promise.allSettled(owners.map(async (owner) => owner.abort(step)));
    throw error;
  }
  await settleAll(owners.map(async (owner) => owner.commit(step)));
}

/** Waits for all, then throws what the first failed with. */
export async function settleAll(calls: readonly Promise<unknown>[]): Promise<void> {
  const results = await Promise.allSettled(calls);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}
