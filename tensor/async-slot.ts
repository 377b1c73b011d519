/**
 * Values that follow an asynchronous flow: across awaits, timers and callbacks made in it. One AsyncLocalStorage serves
 * all of them, because every storage in use slows each promise of the process. Callbacks of sockets and timers run in
 * the flow that made them, so connections, pools and timers are created by `outside`, and whoever dispatches an event
 * sets the slots explicitly.
 */
import { AsyncLocalStorage } from 'node:async_hooks';

const storage = new AsyncLocalStorage<readonly unknown[]>();
const EMPTY: readonly unknown[] = [];
let slots = 0;

/** One value of the asynchronous flow; undefined where nobody set it. */
export class AsyncSlot<T> {
  readonly #index: number = slots++;

  get(): T | undefined {
    return storage.getStore()?.[this.#index] as T | undefined;
  }

  /** Runs `fn`, and all that it starts, with the slot at `value`; the other slots stay as they are. */
  run<R>(value: T | undefined, fn: () => R): R {
    const store = (storage.getStore() ?? EMPTY).slice();
    store[this.#index] = value;
    return storage.run(store, fn);
  }
}

/** Runs `fn` with every slot unset: for what outlives the flow that happens to make it. */
export function outside<R>(fn: () => R): R {
  return storage.run(EMPTY, fn);
}

/** The values of the flow that it is called in: the result runs functions with them wherever it is called. */
export function captured(): <R>(fn: () => R) => R {
  const store = storage.getStore() ?? EMPTY;
  return (fn) => storage.run(store, fn);
}
