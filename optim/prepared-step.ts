/**
 * A step that is prepared and not yet in force. What can fail has been done; what it needs is held until it is committed or
 * aborted. Knows no context and no peer.
 */
import { outside, SparseSlices, tf } from '../tensor/index.ts';
import { applyChange, type Change, computeChange, type Work } from './change.ts';
import type { Gradients, Optimizer, PreparedStep } from './rule.ts';
import type { UpdateRule } from './update-rule.ts';

/** A step of any optimizer: one without `prepare` does all its work in `commit`, and may fail there. */
export function prepareStep(optimizer: Optimizer, gradients: Gradients): PreparedStep {
  if (optimizer.prepare !== undefined && !hasOwnStep(optimizer))
    return optimizer.prepare(gradients);
  const held = holdGradients(gradients);
  const free = (): void => {
    for (const gradient of held.values()) gradient.dispose();
    held.clear();
  };
  return {
    commit: () => {
      try {
        optimizer.step(held);
      } finally {
        free();
      }
    },
    abort: free,
  };
}

/** Whether a class overrides `step` alone: what it inherits would not prepare its step. */
function hasOwnStep(optimizer: object): boolean {
  let level: object | null = optimizer;
  while (level !== null && !Object.hasOwn(level, 'prepare')) {
    if (Object.hasOwn(level, 'step')) return true;
    level = Object.getPrototypeOf(level) as object | null;
  }
  return false;
}

/** One parameter's part, computed from the values that it had. */
interface Part<O extends object> {
  readonly work: Work<O>;
  readonly change: Change;
  /** By these `commit` sees whether another step came first. */
  readonly seen: { readonly data: object; readonly step: number; readonly tensors: object };
}

/** Computes all changes now, and once more in `commit` those of parameters that another step has changed meanwhile. */
export function prepareWork<O extends object>(
  rule: UpdateRule<O>,
  all: readonly Work<O>[],
): PreparedStep {
  const parts: Part<O>[] = [];
  const free = (): void => {
    for (const { work, change } of parts.splice(0)) {
      work.gradient.dispose();
      freeChange(change);
    }
  };
  outside(() => {
    try {
      for (const work of all) {
        const { slot } = work;
        const change = computeKept(rule, work);
        const held = { ...work, gradient: holdGradient(work.gradient) };
        const { parameter, step, tensors } = slot;
        parts.push({ work: held, change, seen: { data: parameter.dataId, step, tensors } });
      }
    } catch (error) {
      free();
      throw error;
    }
  });
  return {
    commit: () => {
      outside(() => {
        for (const { work, change, seen } of parts) {
          const { parameter, step, tensors } = work.slot;
          const isSame =
            parameter.dataId === seen.data && step === seen.step && tensors === seen.tensors;
          tf.tidy(() => {
            applyChange(isSame ? takeChange(change) : computeChange(rule, work));
          });
        }
      });
      free();
    },
    abort: free,
  };
}

/** Tensors of the slot itself stay the slot's. */
function ownTensors({ slot, parameter, tensors }: Change): tf.Tensor[] {
  const own = [...tensors].filter(([name, tensor]) => slot.tensors.get(name) !== tensor);
  return [...(parameter === undefined ? [] : [parameter]), ...own.map(([, tensor]) => tensor)];
}

function computeKept<O extends object>(rule: UpdateRule<O>, work: Work<O>): Change {
  const kept: Change[] = [];
  tf.tidy(() => {
    const change = computeChange(rule, work);
    for (const tensor of ownTensors(change)) tf.keep(tensor);
    kept.push(change);
  });
  return kept[0] as Change;
}

/** References of their own, which the state may take over. */
function takeChange({ slot, parameter, tensors }: Change): Change {
  const taken = [...tensors].map(
    ([name, tensor]) =>
      [name, slot.tensors.get(name) === tensor ? tensor : tf.clone(tensor)] as const,
  );
  return { slot, parameter, tensors: new Map(taken) };
}

function freeChange(change: Change): void {
  tf.dispose(ownTensors(change));
}

function holdGradients(gradients: Gradients): Map<tf.Tensor, tf.Tensor | SparseSlices> {
  return outside(
    () => new Map([...gradients].map(([of, gradient]) => [of, holdGradient(gradient)] as const)),
  );
}

function holdGradient(gradient: tf.Tensor | SparseSlices): tf.Tensor | SparseSlices {
  if (!(gradient instanceof SparseSlices)) return tf.keep(tf.clone(gradient));
  const { indices, values, denseShape } = gradient;
  return new SparseSlices(tf.keep(tf.clone(indices)), tf.keep(tf.clone(values)), denseShape);
}
