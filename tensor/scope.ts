/**
 * Who owns a tensor: a scope owns what is made while it runs, across awaits, and frees it at its end. Also what keeps
 * tensors and variables beyond a scope: being stored in an object, or being made by its constructor. Carries guarantee G5.
 * Knows nothing of calls or gradients.
 */
import { freeUnclaimed } from './claims.ts';
import { collectOwnTensors, collectTensors } from './collect.ts';
import {
  enterFrame,
  frameSlot,
  installEngineState,
  nextScopeId,
  type ScopeState,
  variableSlot,
} from './engine-state.ts';
import { rememberMaker } from './makers.ts';
import * as tf from './tf.ts';

const FIRST_SWEEP = 1024;

/** Owns tensors. Variables belong to no scope unless adopted: tfjs never tracks them. */
export class TensorScope {
  readonly #state: ScopeState;
  readonly #owned: Set<tf.Tensor> = new Set();
  #sweepAt: number = FIRST_SWEEP;
  #isDisposed = false;
  /** What runs here, for messages about tensors of the scope that are used after it. */
  maker: string | undefined;

  /** @param name shows in tfjs's own messages; never the name of a kernel */
  constructor(name = 'gradwire.scope') {
    const adopt = (tensor: tf.Tensor): void => this.adopt(tensor);
    this.#state = { track: { push: adopt, length: 0 }, name, id: nextScopeId() };
  }

  /** What a frame needs to put tensors here. */
  get state(): ScopeState {
    return this.#state;
  }

  /** Number of tensors that `dispose()` would free now. */
  get size(): number {
    let count = 0;
    for (const t of this.#owned) if (!t.isDisposed && !t.kept) count++;
    return count;
  }

  get isDisposed(): boolean {
    return this.#isDisposed;
  }

  /**
   * Runs `fn`: tensors that it and all it starts make outside any tidy belong to this scope. What is recorded stays as
   * it is in the surrounding flow.
   */
  run<R>(fn: () => R): R {
    const recorder = frameSlot.get()?.recorder ?? null;
    return enterFrame({ scope: this.#state, recorder }, fn);
  }

  /** Whether `tensor` is one of this scope's and still alive. */
  owns(tensor: tf.Tensor): boolean {
    return this.#owned.has(tensor) && !tensor.isDisposed;
  }

  /** Takes `tensor` (a Variable too). After `dispose()` the tensor stays with the caller, or the object that it is stored in. */
  adopt(tensor: tf.Tensor): void {
    if (this.#isDisposed) {
      late.add(tensor);
      hasLate = true;
      return;
    }
    this.#owned.add(tensor);
    if (this.#owned.size >= this.#sweepAt) this.#sweep();
  }

  /** Gives `tensor` up without disposing it. */
  release(tensor: tf.Tensor): void {
    this.#owned.delete(tensor);
  }

  /**
   * Frees what the scope owns, except tensors marked by `tf.keep` and those in `keep`, which are nobody's from now on, and
   * those that are claimed (claims.ts).
   * Idempotent. Code that still runs in the scope makes plain tensors that no scope owns.
   */
  dispose(keep: Iterable<tf.Tensor> = []): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    if (this.maker !== undefined && this.#owned.size > 0) rememberMaker(this.#state.id, this.maker);
    const spared = new Set(keep);
    for (const t of this.#owned) if (!t.kept && !spared.has(t)) freeUnclaimed(t);
    this.#owned.clear();
  }

  /** A scope that lives long must not hold a handle of every tensor that was already freed by hand. */
  #sweep(): void {
    for (const t of this.#owned) if (t.isDisposed) this.#owned.delete(t);
    this.#sweepAt = Math.max(FIRST_SWEEP, 2 * this.#owned.size);
  }
}

/** Tensors kept because an object holds them, by object; and how many objects hold each. */
const storedIn: WeakMap<object, Set<tf.Tensor>> = new WeakMap();
const holders: WeakMap<tf.Tensor, number> = new WeakMap();
let heldCount = 0;
/** Tensors that code made whose scope was over. */
const late: WeakSet<tf.Tensor> = new WeakSet();
let hasLate = false;

/**
 * To be called when code that ran in `scope` may have stored tensors in `target`, before the scope is disposed. Tensors
 * of `scope` found in own fields of `target`, in arrays, Maps, Sets, plain records and values (collect.ts) there, are marked kept and leave
 * the scope; those that an earlier call kept and that are no longer found go back to `scope`, and die with it unless
 * they are spared as a result. Tensors that the user keeps and Variables are left alone. Private `#fields` and fields
 * of other class instances cannot be seen: use `tf.keep` or a Variable there.
 *
 * @returns those that went back to `scope`
 */
export function keepStored(target: object, scope: TensorScope): readonly tf.Tensor[] {
  const before = storedIn.get(target);
  // Most calls make no tensors, and looking through an object may take long.
  if (before === undefined && heldCount === 0 && scope.size === 0) return [];
  const now = new Set<tf.Tensor>();
  for (const t of collectOwnTensors(target)) {
    if (t.isDisposed) continue;
    if (before?.has(t)) now.add(t);
    else if (holders.has(t) || ((scope.owns(t) || late.has(t)) && isUnkept(t))) {
      scope.release(t);
      addHolder(t);
      now.add(t);
    }
  }
  const replaced: tf.Tensor[] = [];
  for (const t of before ?? []) {
    if (now.has(t) || !dropHolder(t)) continue;
    if (scope.isDisposed) freeUnclaimed(t);
    else {
      scope.adopt(t);
      replaced.push(t);
    }
  }
  if (now.size > 0) storedIn.set(target, now);
  else storedIn.delete(target);
  return replaced;
}

/**
 * Keeps the tensors in `value` (arrays, Maps, Sets and plain records) until the result is called, also where an object holds
 * them too. Variables and tensors that the user keeps are left alone.
 */
export function holdTensors(value: unknown): () => void {
  const held = collectTensors(value).filter(
    (t) => !(t instanceof tf.Variable) && !t.isDisposed && (holders.has(t) || !t.kept),
  );
  for (const t of held) addHolder(t);
  return () => {
    for (const t of held) if (dropHolder(t)) freeUnclaimed(t);
  };
}

/**
 * Frees all that `keepStored` keeps for `target` and no other object holds; also what a handler of it stored there after its
 * answer, from a timer say.
 */
export function freeStored(target: object): void {
  if (hasLate) {
    for (const t of collectOwnTensors(target)) {
      if (late.has(t) && isUnkept(t) && !holders.has(t) && !t.isDisposed) freeUnclaimed(t);
    }
  }
  for (const t of storedIn.get(target) ?? []) if (dropHolder(t)) freeUnclaimed(t);
  storedIn.delete(target);
}

/** Whether it is left to gradwire when it ends. */
function isUnkept(tensor: tf.Tensor): boolean {
  return !tensor.kept && !(tensor instanceof tf.Variable);
}

function addHolder(tensor: tf.Tensor): void {
  tf.keep(tensor);
  const count = holders.get(tensor) ?? 0;
  if (count === 0) heldCount++;
  holders.set(tensor, count + 1);
}

/** One object less holds `tensor`; true if that was the last, and then it is no longer marked kept. */
function dropHolder(tensor: tf.Tensor): boolean {
  const left = (holders.get(tensor) ?? 1) - 1;
  if (left > 0) {
    holders.set(tensor, left);
    return false;
  }
  if (holders.delete(tensor)) heldCount--;
  tensor.kept = false;
  return true;
}

/**
 * Runs a synchronous, constructor-like `fn` and tells which Variables it made and left alive; the caller owns them. If
 * `fn` throws they are disposed.
 */
export function ownVariables<R>(fn: () => R): { value: R; variables: tf.Variable[] } {
  const registered = (): tf.Variable[] => Object.values(tf.engine().registeredVariables);
  const before = new Set(registered());
  const made = (): tf.Variable[] => registered().filter((v) => !before.has(v));
  try {
    const value = fn();
    return { value, variables: made() };
  } catch (error) {
    for (const v of made()) v.dispose();
    throw error;
  }
}

/** Runs `fn` and tells which Variables it makes, and all that it starts; they are not owned by that. */
export function watchVariables<R>(fn: () => R): {
  value: R;
  variables: ReadonlySet<tf.Tensor>;
} {
  installEngineState();
  const variables = new Set<tf.Tensor>();
  const value = variableSlot.run((variable) => variables.add(variable), fn);
  return { value, variables };
}
