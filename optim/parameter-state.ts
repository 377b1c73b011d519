/**
 * What an optimizer remembers of its parameters: how often each was updated, and tensors of its shape by name. Owns those
 * tensors; knows no rule.
 */
import { types } from 'node:util';
import { GradwireError } from '../errors.ts';
import { outside, tf } from '../tensor/index.ts';
import type { ParameterStateDict, TensorState } from './rule.ts';

/** A parameter with what is remembered of it. */
export class ParameterSlot {
  readonly parameter: tf.Variable;
  /** Number of updates so far. */
  step = 0;
  #tensors: Map<string, tf.Tensor> = new Map();

  constructor(parameter: tf.Variable) {
    this.parameter = parameter;
  }

  get tensors(): ReadonlyMap<string, tf.Tensor> {
    return this.#tensors;
  }

  /** Takes over `value`, safe from any tidy or context, and frees what stood there. */
  set(name: string, value: tf.Tensor): void {
    const previous = this.#tensors.get(name);
    this.#tensors.set(name, tf.keep(value));
    if (previous !== value) previous?.dispose();
  }

  /** Replaces everything; takes the tensors over. */
  replace(step: number, tensors: Map<string, tf.Tensor>): void {
    this.free();
    this.step = step;
    this.#tensors = tensors;
  }

  free(): void {
    for (const tensor of this.#tensors.values()) tensor.dispose();
    this.#tensors.clear();
  }
}

/** The state as of this call, read off the engine; steps made while it reads do not change it. */
export async function saveSlots(slots: readonly ParameterSlot[]): Promise<ParameterStateDict[]> {
  // State tensors are freed by the next step, so the snapshot holds references of its own while it waits.
  const held = outside(() =>
    slots.map(({ step, tensors }) => ({
      step,
      copies: [...tensors].map(([name, tensor]) => ({ name, copy: tf.keep(tf.clone(tensor)) })),
    })),
  );
  try {
    return await Promise.all(
      held.map(async ({ step, copies }) => {
        const tensors: Record<string, TensorState> = {};
        for (const { name, copy } of copies) {
          // An engine may hand out its own memory: the slice makes it the caller's.
          const values = (await copy.data<'float32'>()).slice();
          tensors[name] = { shape: [...copy.shape], values };
        }
        return { step, tensors };
      }),
    );
  } finally {
    for (const { copy } of held.flatMap(({ copies }) => copies)) copy.dispose();
  }
}

/**
 * Checks saved state; what is returned replaces all state by copies of it.
 *
 * @param names the state tensors that the rule knows
 * @throws GradwireError `invalid_argument` if `saved` does not fit
 */
export function prepareSlots(
  slots: readonly ParameterSlot[],
  saved: unknown,
  names: readonly string[],
): () => void {
  if (!Array.isArray(saved) || saved.length !== slots.length) {
    throw invalid(`the saved state is not of ${slots.length} parameters`);
  }
  const checked = slots.map(({ parameter }, index) => {
    const { step, tensors } = (saved[index] ?? {}) as Partial<ParameterStateDict>;
    if (!Number.isSafeInteger(step) || (step as number) < 0) {
      throw invalid(`parameter ${index}: the saved step is ${step}`);
    }
    if (typeof tensors !== 'object' || tensors === null) {
      throw invalid(`parameter ${index} has no saved state`);
    }
    for (const [name, value] of Object.entries(tensors)) {
      if (names.includes(name) && fits(value, parameter)) continue;
      throw invalid(
        `saved state '${name}' does not fit parameter ${index} of shape [${parameter.shape}]`,
      );
    }
    return { step: step as number, tensors };
  });
  return () => {
    const loaded = outside(() => checked.map(({ tensors }) => toTensors(tensors)));
    checked.forEach(({ step }, index) => {
      slots[index]?.replace(step, loaded[index] ?? new Map());
    });
  };
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

function invalid(message: string): GradwireError {
  return new GradwireError('invalid_argument', message);
}
