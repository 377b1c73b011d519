/**
 * The parameters of one optimizer and the tensors it keeps for each of them, by position in the list. Every update rule
 * uses this for its checks, its state and its snapshots, and holds only its formula itself.
 */
import { types } from 'node:util';
import { GradwireError } from '../errors.ts';
import { outside, tf } from '../tensor/index.ts';
import type { StateDict, TensorState } from './rule.ts';

/** What a rule is given for one parameter in one step. */
export interface Update {
  /** Position of the parameter in the list. */
  readonly index: number;
  readonly parameter: tf.Variable;
  /** Of the parameter's shape; the caller's, only to be read. */
  readonly gradient: tf.Tensor;
}

export class ParameterState {
  readonly #parameters: readonly tf.Variable[];
  #state: Map<string, tf.Tensor>[];
  #isDisposed = false;

  /**
   * @param parameters float32, at least one, none twice; stay the caller's
   * @throws GradwireError `invalid_argument`
   */
  constructor(parameters: readonly tf.Variable[]) {
    if (!Array.isArray(parameters) || parameters.length === 0) {
      throw new GradwireError('invalid_argument', 'an optimizer needs a list of parameters');
    }
    parameters.forEach((parameter, index) => {
      if (!(parameter instanceof tf.Variable) || parameter.dtype !== 'float32') {
        throw new GradwireError('invalid_argument', `parameter ${index} is no float32 Variable`);
      }
    });
    if (new Set(parameters).size < parameters.length) {
      throw new GradwireError('invalid_argument', 'the list names a parameter twice');
    }
    this.#parameters = [...parameters];
    this.#state = parameters.map(() => new Map());
  }

  /**
   * Calls `update` for each parameter that has a gradient, in order of the list, outside any context, so that nothing is
   * recorded for a backward pass. Each call has a tidy of its own: what it makes and does not `set` or assign is freed
   * before the next, which bounds a step's extra memory by its largest parameter.
   */
  step(gradients: ReadonlyMap<tf.Tensor, tf.Tensor>, update: (one: Update) => void): void {
    this.#checkUsable();
    const updates: Update[] = [];
    this.#parameters.forEach((parameter, index) => {
      const gradient = gradients.get(parameter);
      if (gradient === undefined) return;
      checkGradient(index, parameter, gradient);
      updates.push({ index, parameter, gradient });
    });
    outside(() => {
      for (const one of updates) {
        tf.tidy(() => {
          update(one);
        });
      }
    });
  }

  get(index: number, name: string): tf.Tensor | undefined {
    return this.#state[index]?.get(name);
  }

  /** Takes over `value`, safe from any tidy or context, and frees what stood there. */
  set(index: number, name: string, value: tf.Tensor): void {
    const named = this.#state[index];
    if (named === undefined) {
      throw new GradwireError('invalid_argument', `there is no parameter ${index}`);
    }
    const previous = named.get(name);
    named.set(name, tf.keep(value));
    if (previous !== value) previous?.dispose();
  }

  /** The state as of this call, read off the engine; steps made while it reads do not change it. */
  async save(): Promise<StateDict['state']> {
    this.#checkUsable();
    // State tensors are freed by the next step, so the snapshot holds references of its own while it waits.
    const held = outside(() =>
      this.#state.map((named) =>
        [...named].map(([name, tensor]) => ({ name, copy: tf.keep(tf.clone(tensor)) })),
      ),
    );
    try {
      return await Promise.all(
        held.map(async (named) => {
          const saved: Record<string, TensorState> = {};
          for (const { name, copy } of named) {
            // An engine may hand out its own memory: the slice makes it the caller's.
            const values = (await copy.data<'float32'>()).slice();
            saved[name] = { shape: [...copy.shape], values };
          }
          return saved;
        }),
      );
    } finally {
      for (const { copy } of held.flat()) copy.dispose();
    }
  }

  /**
   * Replaces all state by copies of `saved`.
   *
   * @param names the state tensors that the rule knows; each has its parameter's shape
   * @throws GradwireError `invalid_argument` if `saved` does not fit; nothing has changed then
   */
  load(saved: StateDict['state'], names: readonly string[]): void {
    this.#checkUsable();
    if (!Array.isArray(saved) || saved.length !== this.#parameters.length) {
      throw new GradwireError(
        'invalid_argument',
        `the saved state is not of ${this.#parameters.length} parameters`,
      );
    }
    this.#parameters.forEach((parameter, index) => {
      const named: unknown = saved[index];
      if (typeof named !== 'object' || named === null) {
        throw new GradwireError('invalid_argument', `parameter ${index} has no saved state`);
      }
      for (const [name, value] of Object.entries(named)) {
        if (!names.includes(name) || !fits(value, parameter)) {
          throw new GradwireError(
            'invalid_argument',
            `saved state '${name}' does not fit parameter ${index} of shape [${parameter.shape}]`,
          );
        }
      }
    });
    const loaded = outside(() => saved.map(toTensors));
    this.#free();
    this.#state = loaded;
  }

  dispose(): void {
    this.#free();
    this.#isDisposed = true;
  }

  #free(): void {
    for (const named of this.#state) {
      for (const tensor of named.values()) tensor.dispose();
      named.clear();
    }
  }

  #checkUsable(): void {
    if (this.#isDisposed) {
      throw new GradwireError('tensor_freed', 'the optimizer was disposed');
    }
  }
}

function checkGradient(index: number, parameter: tf.Variable, gradient: tf.Tensor): void {
  for (const tensor of [parameter, gradient]) {
    if (tensor.isDisposed) {
      const what = tensor === parameter ? 'parameter' : 'the gradient of parameter';
      throw new GradwireError('tensor_freed', `${what} ${index} was freed before the step`);
    }
  }
  if (gradient.dtype !== 'float32' || !tf.util.arraysEqual(gradient.shape, parameter.shape)) {
    throw new GradwireError(
      'invalid_argument',
      `parameter ${index} is float32 [${parameter.shape}], its gradient ${gradient.dtype} [${gradient.shape}]`,
    );
  }
}

function toTensors(named: Readonly<Record<string, TensorState>>): Map<string, tf.Tensor> {
  const tensors = new Map<string, tf.Tensor>();
  for (const [name, { shape, values }] of Object.entries(named)) {
    // The engine may go on using the array it is given, so it gets a copy.
    tensors.set(name, tf.keep(tf.tensor(values.slice(), [...shape], 'float32')));
  }
  return tensors;
}

/** Saved state may come from a file or a peer, so nothing is taken for granted about it. */
function fits(value: unknown, parameter: tf.Variable): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { shape, values } = value as Partial<TensorState>;
  return (
    Array.isArray(shape) &&
    tf.util.arraysEqual(shape, parameter.shape) &&
    types.isFloat32Array(values) &&
    values.length === parameter.size
  );
}
