/** The part of a DistributedOptimizer on one worker that owns parameters. Called remotely, by name. */
import { type ContextId, getGradients, noGrad } from '../autograd/index.ts';
import { GradwireError } from '../errors.ts';
import { type RRef, register } from '../rpc/index.ts';
import { tf } from '../tensor/index.ts';
import { type Optimizer, optimizerNamed } from './rule.ts';

export class LocalOptimizer {
  readonly #optimizer: Promise<Optimizer>;

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

  [Symbol.dispose](): void {
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
