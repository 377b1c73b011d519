/**
 * One parameter's part of a step: what a rule makes of it, first computed, then put in force. Between the two nothing is
 * visible. Knows the parameter and its gradient, not the optimizer.
 */
import { GradwireError } from '../errors.ts';
import { SparseSlices, tf } from '../tensor/index.ts';
import type { ParameterSlot } from './parameter-state.ts';
import { sumRows, takeRows, withRows } from './sparse-rows.ts';
import type { After, UpdateRule } from './update-rule.ts';

/** What is to be computed for one parameter. */
export interface Work<O extends object> {
  readonly slot: ParameterSlot;
  readonly gradient: tf.Tensor | SparseSlices;
  readonly options: Required<O>;
}

/** New values of one parameter and its state tensors, not yet in force. */
export interface Change {
  readonly slot: ParameterSlot;
  /** Undefined if it stays as it is. */
  readonly parameter: tf.Tensor | undefined;
  readonly tensors: ReadonlyMap<string, tf.Tensor>;
}

/** @throws GradwireError `invalid_argument`, `tensor_freed` if the rule cannot take this gradient */
export function checkWork<O extends object>(rule: UpdateRule<O>, work: Work<O>, at: number): void {
  const { slot, gradient, options } = work;
  const { parameter } = slot;
  const isSparse = gradient instanceof SparseSlices;
  const values = isSparse ? gradient.values : gradient;
  checkAlive(parameter, `parameter ${at}`);
  checkAlive(values, `the gradient of parameter ${at}`);
  if (isSparse) checkAlive(gradient.indices, `the gradient of parameter ${at}`);
  const shape = isSparse ? gradient.denseShape : gradient.shape;
  if (values.dtype !== 'float32' || !tf.util.arraysEqual([...shape], parameter.shape)) {
    throw invalid(
      `parameter ${at} is float32 [${parameter.shape}], its gradient ${values.dtype} [${shape}]`,
    );
  }
  if (!isSparse) return;
  const way = rule.sparse?.(options) ?? { refused: '' };
  if (typeof way === 'object' && 'refused' in way) {
    const why = way.refused === '' ? '' : ` with ${way.refused}`;
    throw invalid(`${rule.name} takes no sparse gradient${why}; parameter ${at} has one`);
  }
}

/** Computes a change, to be called in a tidy; the tensors in it are the tidy's. */
export function computeChange<O extends object>(rule: UpdateRule<O>, work: Work<O>): Change {
  const { slot, gradient, options } = work;
  const state = stateOf(rule, work);
  const { parameter } = slot;
  const step = slot.step + 1;
  const sign = 'maximize' in options && options.maximize === true ? tf.neg : undefined;
  if (!(gradient instanceof SparseSlices)) {
    const descent = sign?.(gradient) ?? gradient;
    return change(slot, state, rule.update({ parameter, gradient: descent, state, options, step }));
  }
  const way = rule.sparse?.(options);
  if (way === undefined || way === 'dense' || 'refused' in way) {
    return computeChange(rule, { ...work, gradient: gradient.toDense() });
  }
  if (gradient.length === 0) return { slot, parameter: undefined, tensors: entries(state) };
  const rows = sumRows(gradient);
  const after = way.rows({
    parameter: takeRows(parameter, rows),
    gradient: sign?.(rows.values) ?? rows.values,
    state: mapValues(state, (tensor) => takeRows(tensor, rows)),
    options,
    step,
  });
  return change(slot, state, {
    parameter: withRows(parameter, rows, after.parameter),
    state: mapValues(after.state ?? {}, (values, name) =>
      withRows(state[name] ?? tf.zerosLike(parameter), rows, values),
    ),
  });
}

/** Puts a change in force. In a tidy, or with kept tensors; the state takes its tensors over. */
export function applyChange({ slot, parameter, tensors }: Change): void {
  if (parameter !== undefined) slot.parameter.assign(parameter);
  for (const [name, tensor] of tensors) slot.set(name, tensor);
  slot.step += 1;
}

function stateOf<O extends object>(
  rule: UpdateRule<O>,
  { slot, options }: Work<O>,
): Record<string, tf.Tensor> {
  const state: Record<string, tf.Tensor> = Object.fromEntries(slot.tensors);
  for (const [name, value] of Object.entries(rule.initial(options))) {
    state[name] ??= tf.fill(slot.parameter.shape, value);
  }
  return state;
}

function change(slot: ParameterSlot, before: Record<string, tf.Tensor>, after: After): Change {
  return { slot, parameter: after.parameter, tensors: entries({ ...before, ...after.state }) };
}

function entries(state: Readonly<Record<string, tf.Tensor>>): ReadonlyMap<string, tf.Tensor> {
  return new Map(Object.entries(state));
}

function mapValues(
  record: Readonly<Record<string, tf.Tensor>>,
  fn: (tensor: tf.Tensor, name: string) => tf.Tensor,
): Record<string, tf.Tensor> {
  return Object.fromEntries(Object.entries(record).map(([name, t]) => [name, fn(t, name)]));
}

function checkAlive(tensor: tf.Tensor, what: string): void {
  if (tensor.isDisposed) {
    throw new GradwireError('tensor_freed', `${what} was freed before the step`);
  }
}

function invalid(message: string): GradwireError {
  return new GradwireError('invalid_argument', message);
}
