/** The part of a DistributedOptimizer on one worker that owns parameters. Called remotely, by name. */
import { type ContextId, getGradients, noGrad } from '../autograd/index.ts';
import { GradwireError } from '../errors.ts';
import { type RRef, register } from '../rpc/index.ts';
import { tf } from '../tensor/index.ts';
import type { ParameterOwner } from './parameter-owner.ts';
import { prepareStep } from './prepared-step.ts';
import { type Optimizer, optimizerNamed, type PreparedStep } from './rule.ts';

export class LocalOptimizer implements ParameterOwner {
  readonly #optimizer: Promise<Optimizer>;
  /** Steps between their phases, by number. */
  readonly #prepared: Map<number, PreparedStep> = new Map();
  #isDisposed = false;

  /** @param name of a registered optimizer class; @param parameters references of this worker; they are let go of here */
  constructor(name: string, parameters: readonly RRef<tf.Variable>[], options: object) {
    this.#optimizer = localVariables(parameters).then((variables) => {
      const Class = optimizerNamed(name);
      return new Class(variables, options);
    });
    // Told by `ready` and `step`.
    this.#optimizer.catch(() => {});
  }

  /** Resolves when the optimizer exists. */
  async ready(): Promise<void> {
    await this.#optimizer;
  }

  /** Updates the parameters by the gradients that the context holds on this worker. Awaits nothing in between. */
  async step(contextId: ContextId): Promise<void> {
    const optimizer = await this.#optimizer;
    noGrad(() => optimizer.step(getGradients(contextId, { sparse: true })));
  }

  /** Makes a step of the gradients that the context holds on this worker, not yet in force. */
  async prepare(contextId: ContextId, step: number): Promise<void> {
    const optimizer = await this.#optimizer;
    if (this.#isDisposed) throw new GradwireError('invalid_state', 'the optimizer was disposed');
    const prepared = noGrad(() => prepareStep(optimizer, getGradients(contextId)));
    this.#prepared.set(step, prepared);
  }

  /** @throws GradwireError `invalid_state` for a step that is not prepared */
  async commit(step: number): Promise<void> {
    const prepared = this.#prepared.get(step);
    if (prepared === undefined) {
      throw new GradwireError('invalid_state', `step ${step} is not prepared here`);
    }
    this.#prepared.delete(step);
    noGrad(() => prepared.commit());
  }

  async abort(step: number): Promise<void> {
    // A `prepare` that came before may still wait for the optimizer, and is done when this goes on.
    await this.#optimizer.catch(() => {});
    this.#prepared.get(step)?.abort();
    this.#prepared.delete(step);
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    for (const prepared of this.#prepared.values()) prepared.abort();
    this.#prepared.clear();
    this.#optimizer.then(
      (optimizer) => optimizer.dispose(),
      () => {},
    );
  }
}

async function localVariables(parameters: readonly RRef<tf.Variable>[]): Promise<tf.Variable[]> {
  try {
    const values = await Promise.all(parameters.map((rref) => rref.localValue()));
    return values.map((value, index) => {
      if (value instanceof tf.Variable) return value;
      throw new GradwireError('invalid_argument', `${parameters[index]} is not a tf.Variable`);
    });
  } finally {
    for (const rref of parameters) rref.dispose();
  }
}

register({ 'gradwire.LocalOptimizer': LocalOptimizer });
