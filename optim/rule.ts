/**
 * What a local optimizer is, and the table by which workers name one to each other: a class never travels, its name does.
 * Knows nothing of RPC, contexts or of who computed the gradients.
 */
import { GradwireError } from '../errors.ts';
import type { SparseSlices, tf } from '../tensor/index.ts';
import type { OptionValue } from './options.ts';

/** Gradients by parameter: tensors of its shape, or some of its rows. */
export type Gradients = ReadonlyMap<tf.Tensor, tf.Tensor | SparseSlices>;

/** One state tensor off the engine: float32 values in row-major order, `values.length` is the product of `shape`. */
export interface TensorState {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** What an optimizer remembers of one parameter. */
export interface ParameterStateDict {
  /** How often it was updated. */
  readonly step: number;
  /** State tensors by name, all of the parameter's shape. */
  readonly tensors: Readonly<Record<string, TensorState>>;
}

/** A parameter group without its parameters. */
export interface ParamGroupDict {
  /** Positions of its parameters in `StateDict.state`. */
  readonly params: readonly number[];
  /** The options in force, defaults included. */
  readonly options: Readonly<Record<string, OptionValue>>;
  /** The learning rate before any schedule, if there is one. */
  readonly initialLr?: number;
}

/** Everything an optimizer remembers, as plain data that can be sent or stored. */
export interface StateDict {
  /** By parameter, group after group in their order. */
  readonly state: readonly ParameterStateDict[];
  readonly paramGroups: readonly ParamGroupDict[];
}

/** A step that is computed and not yet in force. */
export interface PreparedStep {
  /** Puts it in force, on top of what other steps have done since. Once, and not after `abort`. */
  commit(): void;
  /** Frees what it holds. Idempotent. */
  abort(): void;
}

/**
 * Updates parameters in place (`Variable.assign`, so graphs that saved the old values stay right). It never owns gradients,
 * so there is no `zero_grad`: each context has gradients of its own. PyTorch: `torch.optim.Optimizer`.
 */
export interface Optimizer {
  /**
   * One update. Parameters without an entry in `gradients` are skipped, whatever their state; entries of other tensors
   * are ignored. Gradients have the parameter's shape and dtype, are read, and stay the caller's.
   *
   * @throws GradwireError `invalid_argument` for a gradient of another shape or dtype, a sparse one that the rule does not
   *   take, or options that make no sense; `tensor_freed` for a freed gradient or parameter; nothing has been updated then
   */
  step(gradients: Gradients): void;

  /**
   * Does all of a step that may fail, with nothing visible; the gradients may be freed once it returns. Takes the memory of
   * what it will change. An optimizer without it, or a class that overrides `step` alone, does everything in the second phase of
   * a distributed step.
   *
   * @throws as `step`
   */
  prepare?(gradients: Gradients): PreparedStep;

  /** A snapshot of options and state as of this call; later steps do not change it. PyTorch: `state_dict`. */
  stateDict(): Promise<StateDict>;

  /**
   * Replaces options and state by a copy of `saved`. PyTorch: `load_state_dict`.
   *
   * @throws GradwireError `invalid_argument` if `saved` is not of this rule and these parameters; nothing has changed then
   */
  loadStateDict(saved: StateDict): void;

  /** Frees the state tensors, not the parameters. Further use throws; a second `dispose` does nothing. */
  dispose(): void;
}

/**
 * A class of optimizers with options `O`. The constructor throws GradwireError `invalid_argument` for an empty or
 * repeated parameter list and for options that make no sense, and checks them itself: they may come from a peer.
 */
export type OptimizerClass<O> = new (parameters: readonly tf.Variable[], options?: O) => Optimizer;

const classes = new Map<string, OptimizerClass<never>>();

/**
 * Makes a class known by `name` on this worker; the same pair again is a no-op. Names are case-sensitive.
 *
 * @throws GradwireError `already_registered` if the name stands for another class or the class has another name
 */
export function registerOptimizer<O>(name: string, cls: OptimizerClass<O>): void {
  const present = classes.get(name);
  if (present === cls) return;
  if (present !== undefined) {
    throw new GradwireError('already_registered', `optimizer '${name}' is another class here`);
  }
  const other = nameOf(cls);
  if (other !== undefined) {
    throw new GradwireError(
      'already_registered',
      `this optimizer class is registered as '${other}', so it cannot be '${name}' too`,
    );
  }
  classes.set(name, cls);
}

/**
 * The name under which a class is registered.
 *
 * @throws GradwireError `not_registered` if it is not
 */
export function optimizerName<O>(cls: OptimizerClass<O>): string {
  const name = nameOf(cls);
  if (name !== undefined) return name;
  throw new GradwireError(
    'not_registered',
    `optimizer class ${cls.name || '(anonymous)'} has no name that a peer knows: call registerOptimizer first`,
  );
}

/**
 * The class registered under `name`. What options it takes is not known here, so its constructor checks them.
 *
 * @throws GradwireError `unknown_function` if there is none, listing those that there are
 */
export function optimizerNamed(name: string): OptimizerClass<unknown> {
  const cls = classes.get(name);
  if (cls !== undefined) return cls as OptimizerClass<unknown>;
  throw new GradwireError(
    'unknown_function',
    `no optimizer '${name}' is registered here; known: ${[...classes.keys()].join(', ')}`,
  );
}

function nameOf<O>(cls: OptimizerClass<O>): string | undefined {
  for (const [name, known] of classes) if (known === cls) return name;
  return undefined;
}
