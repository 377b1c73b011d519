/**
 * What an update rule is: a pure function of a parameter, its gradient, what is remembered of it and the options. It knows
 * neither whose parameters they are nor when its results become visible.
 */
import type { tf } from '../tensor/index.ts';
import type { OptionTable } from './options.ts';

/** What a rule is given for one parameter, or for some rows of it. All tensors are only to be read. */
export interface Before<O extends object> {
  readonly parameter: tf.Tensor;
  /** Of the parameter's shape; of the sign to descend by, whatever `maximize` says. */
  readonly gradient: tf.Tensor;
  /** State tensors by name: those of `initial`, and those that an earlier update returned. */
  readonly state: Readonly<Record<string, tf.Tensor | undefined>>;
  readonly options: Required<O>;
  /** Number of this update of the parameter, from 1. */
  readonly step: number;
}

/** What a rule makes of it: new tensors, none of them one that it was given. */
export interface After {
  readonly parameter: tf.Tensor;
  /** Those that changed. */
  readonly state?: Readonly<Record<string, tf.Tensor>>;
}

/** A rule. Runs in a tidy, outside any context: it awaits nothing, frees nothing, and nothing is recorded. */
export type Update<O extends object> = (before: Before<O>) => After;

/** How a rule takes a sparse gradient: by a formula for the rows that have one, as a dense one, or not at all. */
export type SparseWay<O extends object> =
  | { readonly rows: Update<O> }
  | 'dense'
  | { readonly refused: string };

/** A rule with its options. PyTorch: a functional optimizer of `torch.optim._functional`. */
export interface UpdateRule<O extends object> {
  /** For messages. */
  readonly name: string;
  readonly options: OptionTable<O>;
  /** What is wrong with options that are each right by themselves. */
  readonly conflict?: (options: Required<O>) => string | undefined;
  /** Names of all state tensors; each has its parameter's shape. */
  readonly tensors: readonly string[];
  /** State tensors that exist before the first update, and the value they are filled with. */
  readonly initial: (options: Required<O>) => Readonly<Record<string, number>>;
  readonly update: Update<O>;
  /** Absent: sparse gradients are refused. */
  readonly sparse?: (options: Required<O>) => SparseWay<O>;
}
