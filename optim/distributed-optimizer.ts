/** Drives the parameters of a remotely hosted model. PyTorch: `torch.distributed.optim.DistributedOptimizer`. */
import { type ContextId, run } from '../autograd/index.ts';
import { GradwireError } from '../errors.ts';
import type { RRef, Worker } from '../rpc/index.ts';
import { currentWorker, isRRef } from '../rpc/internal.ts';
import { outside, type tf } from '../tensor/index.ts';
import { LocalOptimizer } from './local-optimizer.ts';
import { type OptimizerClass, optimizerName } from './rule.ts';

export class DistributedOptimizer<O extends object> implements Disposable {
  readonly #worker: Worker;
  readonly #locals: RRef<LocalOptimizer>[] = [];

  /**
   * Makes one optimizer of class `optimizer` on every worker that owns some of `parameters`. Returns at once: `step` waits
   * until they exist, `ready` tells of failures early.
   *
   * @param parameters at least one, none twice; the optimizer has references of its own, these stay the caller's
   * @throws GradwireError `invalid_argument`, `not_registered` for an optimizer class without a name
   */
  constructor(optimizer: OptimizerClass<O>, parameters: readonly RRef<tf.Variable>[], options: O) {
    if (!Array.isArray(parameters) || parameters.length === 0) {
      throw new GradwireError(
        'invalid_argument',
        'DistributedOptimizer needs at least one parameter',
      );
    }
    const byOwner = new Map<string, RRef<tf.Variable>[]>();
    const seen = new Set<RRef<tf.Variable>>();
    for (const parameter of parameters) {
      const isReference: boolean = isRRef(parameter);
      if (!isReference) {
        throw new GradwireError(
          'invalid_argument',
          'a parameter of DistributedOptimizer is no RRef',
        );
      }
      if (seen.has(parameter)) {
        throw new GradwireError('invalid_argument', `${parameter} is given twice`);
      }
      seen.add(parameter);
      const owner = parameter.ownerName();
      byOwner.set(owner, [...(byOwner.get(owner) ?? []), parameter]);
    }
    const name = optimizerName(optimizer);
    this.#worker = currentWorker<Worker>();
    try {
      for (const [owner, owned] of byOwner) {
        // Outside the context in which it may be made: the optimizer outlives it.
        const make = () => this.#worker.remote(owner, LocalOptimizer, [name, owned, options]);
        this.#locals.push(outside(make));
      }
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** Resolves when the optimizers exist on all owners. @throws what the creation failed with */
  async ready(): Promise<void> {
    await settleAll(this.#locals.map(async (local) => local.rpcAsync().ready()));
  }

  /**
   * One update on every owner, each by its own gradients of the context; parameters without one are skipped. At most once.
   * Updates of several trainers on one owner follow each other. PyTorch: `step`.
   *
   * @throws GradwireError (as rejection) `unknown_context`, `context_released` before anything is updated; else the first
   * failure, when all owners have answered
   */
  async step(contextId: ContextId): Promise<void> {
    // In the context, whatever the flow of the caller is: owners that have had no part in it take part now.
    await this.#worker.run(() =>
      run(contextId, () =>
        settleAll(this.#locals.map(async (local) => local.rpcAsync().step(contextId))),
      ),
    );
  }

  /** Lets go of the optimizers on the owners; their state is freed there. Idempotent. */
  dispose(): void {
    for (const local of this.#locals) local.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

async function settleAll(calls: readonly Promise<unknown>[]): Promise<void> {
  const results = await Promise.allSettled(calls);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}
