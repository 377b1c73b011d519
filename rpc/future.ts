/**
 * Answers that are not there yet. Knows nothing of calls: whoever makes a future sets it.
 *
 * A future is a Promise, so that `await`, `Promise.all` and everything else take it for what it is, and a call makes no
 * second object. Beyond that it can be asked, without waiting, what has become of it.
 */
import { asError, GradwireError } from '../errors.ts';
import { isThenable } from './thenable.ts';

type Resolve<T> = (value: T | PromiseLike<T>) => void;
type Reject = (error: Error) => void;

// What only the class itself can see of a value.
let isBranded: (value: object) => boolean;

/**
 * A result that comes later. PyTorch: `torch.futures.Future`.
 *
 * `await future` waits for it, as often as wanted: a failed one throws the same error again. `then`, `catch` and `finally`
 * are those of a Promise (they get the value, where PyTorch's `then` gets the future) and give futures. As with a Promise,
 * a failure that nobody looks at is an unhandled rejection. Tensors of the value belong to whoever made the call.
 *
 * Made without an executor it is set by `setResult` or `setException`, once. Futures of calls, and those made with an
 * executor, are set by their makers alone. A future is never sent: a call whose argument contains one is refused, and so
 * is the result of a remote function that is one, unless the function is marked by `asyncExecution`.
 */
export class RpcFuture<T> extends Promise<T> {
  readonly #isOpen: boolean;
  readonly #resolve: Resolve<unknown>;
  readonly #reject: Reject;
  /** Nothing more can be set; a promise that was set may still have to settle. */
  #isSet = false;
  #state: 'waiting' | 'done' | 'failed' = 'waiting';
  #outcome: unknown;

  /** @param executor sets the future, as that of a Promise does: what comes after the first is ignored */
  constructor(executor?: (resolve: Resolve<T>, reject: Reject) => void) {
    let yes: Resolve<T> = () => {};
    let no: Reject = () => {};
    super((resolve, reject) => {
      yes = resolve;
      no = reject;
    });
    this.#resolve = yes as Resolve<unknown>;
    this.#reject = no;
    this.#isOpen = executor === undefined;
    if (executor === undefined) return;
    const fail = (error: Error): void => this.#fail(error);
    try {
      executor((value) => this.#set(value), fail);
    } catch (error) {
      fail(error as Error);
    }
  }

  /** The future of a promise; a future is its own. */
  static from<T>(promise: PromiseLike<T>): RpcFuture<T> {
    if (isFuture(promise)) return promise as RpcFuture<T>;
    return new RpcFuture((resolve) => resolve(promise));
  }

  /** Whether the result, or a failure, is there. */
  done(): boolean {
    return this.#state !== 'waiting';
  }

  /** The result, which must be there; throws what the future failed with. @throws GradwireError `invalid_state` */
  value(): T {
    if (this.#state === 'done') return this.#outcome as T;
    if (this.#state === 'failed') throw this.#outcome;
    throw new GradwireError('invalid_state', 'the future is not done: await it, or ask done()');
  }

  /** The same as `await future`; kept for porting. */
  wait(): Promise<T> {
    return this;
  }

  // biome-ignore lint/suspicious/noThenProperty: a Promise has it
  override then<A = T, B = never>(
    onValue?: ((value: T) => A | PromiseLike<A>) | null,
    // biome-ignore lint/suspicious/noExplicitAny: as in a Promise
    onError?: ((error: any) => B | PromiseLike<B>) | null,
  ): RpcFuture<A | B> {
    return RpcFuture.from(super.then(onValue, onError));
  }

  /**
   * Calls `callback` with the future when it is done, soon if it is already; whoever does so looks at a failure too. What
   * the callback throws is an unhandled rejection. PyTorch: `add_done_callback`.
   *
   * @throws GradwireError `invalid_argument`
   */
  onComplete(callback: (future: this) => void): void {
    if (typeof callback !== 'function') {
      throw new GradwireError('invalid_argument', 'onComplete takes a function');
    }
    const tell = (): void => callback(this);
    void super.then(tell, tell);
  }

  /** Completes the future; a promise is waited for. @throws GradwireError `invalid_state` if it was set before */
  setResult(value: T | PromiseLike<T>): void {
    this.#checkOpen();
    this.#set(value);
  }

  /** Fails the future. @throws GradwireError `invalid_state` if it was set before, `invalid_argument` */
  setException(error: Error): void {
    this.#checkOpen();
    if (asError(error) !== error) {
      throw new GradwireError('invalid_argument', 'setException takes an error');
    }
    this.#fail(error);
  }

  static {
    // `await` reads a Promise directly only if its constructor is Promise; any other costs two more promises a call.
    Object.defineProperty(RpcFuture.prototype, 'constructor', { value: Promise });
    isBranded = (value) => #isOpen in value;
  }

  #checkOpen(): void {
    if (!this.#isOpen) {
      throw new GradwireError('invalid_state', 'the future is set by the call that made it');
    }
    if (this.#isSet) throw new GradwireError('invalid_state', 'a future can be set only once');
  }

  #set(value: unknown): void {
    if (this.#isSet) return;
    this.#isSet = true;
    if (isThenable(value)) {
      Promise.resolve(value).then(
        (result) => this.#settle('done', result),
        (error) => this.#settle('failed', error),
      );
    } else this.#settle('done', value);
  }

  #fail(error: Error): void {
    if (this.#isSet) return;
    this.#isSet = true;
    this.#settle('failed', error);
  }

  #settle(state: 'done' | 'failed', outcome: unknown): void {
    this.#state = state;
    this.#outcome = outcome;
    if (state === 'done') this.#resolve(outcome);
    else this.#reject(outcome as Error);
  }
}

/** Whether the value is a future of this copy of the package. */
export function isFuture(value: unknown): value is RpcFuture<unknown> {
  return typeof value === 'object' && value !== null && isBranded(value);
}

/**
 * One future for many: done with all their values, in order, or failed with the first failure, at once. The others go on,
 * and their failures count as looked at. PyTorch: `torch.futures.collect_all` and `wait_all`.
 */
export function collectAll<F extends readonly unknown[] | []>(
  futures: F,
): RpcFuture<{ -readonly [K in keyof F]: Awaited<F[K]> }> {
  return RpcFuture.from(Promise.all(futures));
}
