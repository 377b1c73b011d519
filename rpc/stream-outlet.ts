/**
 * The callee's end of a stream: sends items as the caller grants them. An async iterable is pulled only as far as granted; an
 * Observable cannot be, and what it emits beyond is kept as bytes up to a bound. An item is given away: its tensors, if they
 * are the stream's, are freed when it has been packed. Carries promise P7. Knows nothing of connections.
 */
import { debuglog } from 'node:util';
import { isObservable, type Observable, Subject, takeUntil } from 'rxjs';
import { GradwireError } from '../errors.ts';
import { collectTensors, type TensorScope, tf } from '../tensor/index.ts';
import type { Parcel } from './parcel.ts';
import { Queue } from './queue.ts';
import { isAsyncIterable, streamOrder } from './streamed.ts';

const debug = debuglog('gradwire');

/** Items of an Observable that may wait for the caller to grant them, and items that a caller may grant at once. */
export const MAX_WAITING_ITEMS = 1_000;

export interface OutletOptions {
  /** Id of the request. */
  readonly id: number;
  /** Items granted with it. */
  readonly credit: number;
  /** Owns what the handler makes, until the stream ends. */
  readonly scope: TensorScope;
  /** Takes a snapshot of an item. @throws GradwireError what cannot be sent */
  pack(item: unknown): Parcel;
  send(item: Parcel): void;
}

export class StreamOutlet {
  readonly order: readonly string[];
  readonly #options: OutletOptions;
  readonly #waiting = new Queue<Parcel>();
  /** Emits when nobody takes items any more. */
  readonly #stop = new Subject<void>();
  #credit: number;
  #isClosed = false;
  /** Goes on when there is credit and nothing waits, or the outlet is closed. */
  #wake: () => void = () => {};
  /** Settles what the items' tensors are stored in, before those that are not are freed. */
  #keep: () => void = () => {};

  constructor(options: OutletOptions) {
    this.#options = options;
    this.#credit = Math.min(options.credit, MAX_WAITING_ITEMS);
    this.order = streamOrder(options.id);
  }

  /** The caller takes so many more. */
  grant(items: number): void {
    this.#credit = Math.min(this.#credit + items, MAX_WAITING_ITEMS);
    while (this.#credit > 0 && this.#waiting.length > 0) {
      this.#credit--;
      this.#options.send(this.#waiting.shift() as Parcel);
    }
    if (this.#waiting.length === 0) this.#wake();
  }

  /** The caller takes no more. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#dropWaiting();
    this.#stop.next();
    this.#wake();
  }

  /**
   * Sends the items of what a function returned; resolves when all are sent, or nobody takes them and the source has ended.
   *
   * @param keep is called before the tensors of an item are freed: those that it releases from the scope stay
   * @throws GradwireError (as rejection) what the source threw, `unsupported_value` if it is none, `overloaded`
   */
  async deliver(result: unknown, keep: () => void = () => {}): Promise<null> {
    this.#keep = keep;
    const source = await result;
    if (isAsyncIterable(source)) await this.#pull(source);
    else if (isObservable(source)) await this.#follow(source);
    else {
      const message = 'the function streams nothing: call it by rpcSync or rpcAsync';
      throw new GradwireError('unsupported_value', message);
    }
    return null;
  }

  async #pull(source: AsyncIterable<unknown>): Promise<void> {
    const iterator = source[Symbol.asyncIterator]();
    let ending: Promise<void> | undefined;
    const end = (): void => {
      ending ??= endOf(iterator);
    };
    const closing = this.#stop.subscribe(end);
    try {
      while (await this.#room()) {
        const { done, value } = await iterator.next();
        if (done === true) return;
        if (!this.#isClosed) this.#give(value);
      }
    } catch (error) {
      end();
      throw error;
    } finally {
      closing.unsubscribe();
      if (this.#isClosed) end();
      await ending;
    }
  }

  async #follow(source: Observable<unknown>): Promise<void> {
    let failure: { readonly error: unknown } | undefined;
    await new Promise<void>((resolve) => {
      const failed = (error: unknown): void => {
        failure ??= { error };
        resolve();
      };
      const next = (item: unknown): void => {
        try {
          this.#give(item);
        } catch (error) {
          failed(error);
          this.#stop.next();
        }
      };
      const seen = source.pipe(takeUntil(this.#stop));
      if (!this.#isClosed) seen.subscribe({ next, error: failed, complete: resolve });
      else resolve();
    });
    if (this.#waiting.length > 0) await new Promise<void>((resolve) => this.#onWake(resolve));
    if (failure !== undefined) throw failure.error;
  }

  /** Waits for credit. False: nobody takes items any more. */
  async #room(): Promise<boolean> {
    if (!this.#isClosed && this.#credit === 0) {
      await new Promise<void>((resolve) => this.#onWake(resolve));
    }
    return !this.#isClosed;
  }

  #onWake(wake: () => void): void {
    this.#wake = wake;
  }

  #give(item: unknown): void {
    const { scope, pack, send } = this.#options;
    if (this.#waiting.length >= MAX_WAITING_ITEMS) {
      this.#dropWaiting();
      const message = `the stream is ${MAX_WAITING_ITEMS} items ahead of its subscriber`;
      throw new GradwireError('overloaded', message);
    }
    const parcel = pack(item);
    const tensors = collectTensors(item);
    if (tensors.length > 0) this.#keep();
    for (const t of tensors) {
      if (scope.owns(t) && !t.kept && !(t instanceof tf.Variable)) t.dispose();
    }
    if (this.#credit === 0) this.#waiting.push(parcel);
    else {
      this.#credit--;
      send(parcel);
    }
  }

  #dropWaiting(): void {
    for (const parcel of this.#waiting.all()) parcel.drop();
    this.#waiting.clear();
  }
}

/** Ends a source that nobody takes items of, whatever it makes of that. Never rejects. */
async function endOf(iterator: AsyncIterator<unknown>): Promise<void> {
  try {
    await iterator.return?.();
  } catch (error) {
    debug('a stream did not end as it should: %s', error);
  }
}
