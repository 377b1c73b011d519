/** Drives the parameters of a remotely hosted model. PyTorch: `torch.distributed.optim.DistributedOptimizer`. */
import { type ContextId, run } from '../autograd/index.ts';
import { GradwireError } from '../errors.ts';
import type { RRef, Worker } from '../rpc/index.ts';
import { currentWorker, isRRef } from '../rpc/internal.ts';
import { outside, type tf } from '../tensor/index.ts';
import { LocalOptimizer } from './local-optimizer.ts';
import { settleAll, stepAll } from './parameter-owner.ts';
import { type OptimizerClass, optimizerName } from './rule.ts';

export interface DistributedOptimizerOptions {
  /**
   * Each owner steps by itself, in one round trip: a step that fails on one is in force on the others, as in PyTorch. Default
   * false: all owners or none, in two.
   */
  readonly relaxed?: boolean;
}

export class DistributedOptimizer<O extends object> implements Disposable {
  readonly #worker: Worker;
  readonly #locals: RRef<LocalOptimizer>[] = [];
  readonly #isRelaxed: boolean;
  #stepsBegun = 0;

  /**
   * Makes one optimizer of class `optimizer` on every worker that owns some of `parameters`. Returns at once: `step` waits
   * until they exist, `ready` tells of failures early.
   *
   * @param parameters at least one, none twice; the optimizer has references of its own, these stay the caller's
   * @throws GradwireError `invalid_argument`, `not_registered` for an optimizer class without a name
   */
  constructor(
    optimizer: OptimizerClass<O>,
    parameters: readonly RRef<tf.Variable>[],
    options: O,
    { relaxed = false }: DistributedOptimizerOptions = {},
  ) {
    this.#isRelaxed = relaxed;
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
   * One update on all owners or on none, each by its own gradients of the context; parameters without one are skipped. At most
   * once. Updates of several trainers on one owner follow each other, and none is lost. PyTorch: `step`.
   *
   * @throws GradwireError (as rejection) `unknown_context`, `context_released`, or the first failure when all owners have
   *   answered. Nothing has been updated then, unless an owner, or its last answer, was lost at the very end: the others have
   *   made the step, and the error is that of the loss. `relaxed`, or with an optimizer that has no `prepare`, owners other
   *   than the failed one may have made it
   */
  async step(contextId: ContextId): Promise<void> {
    const step = this.#stepsBegun++;
    const owners = this.#locals.map((local) => local.rpcAsync());
    // In the context, whatever the flow of the caller is: owners that have had no part in it take part now.
    await this.#worker.run(() =>
      run(contextId, async () => {
        // A single owner is all or none by itself.
        if (!this.#isRelaxed && owners.length > 1) await stepAll(owners, contextId, step);
        else await settleAll(owners.map(async (owner) => owner.step(contextId)));
      }),
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
