/**
 * The caller's end of a stream: an Observable, and an async iterable that takes no more than it is asked for. Knows how items
 * are granted and whose their tensors are, not how they travel.
 */
import { Observable } from 'rxjs';
import { GradwireError } from '../errors.ts';
import { captured, type Frame, frameSlot, TensorScope } from '../tensor/index.ts';
import { disposeReferences } from './discard.ts';
import type { Unpacked } from './packet.ts';
import { Queue } from './queue.ts';

/** What becomes of one subscription. */
export interface StreamSink {
  /** The bytes are valid during the call only. Must not throw. */
  item(bytes: Uint8Array): void;
  end(failure?: { readonly error: Error }): void;
}

/** One subscription. */
export interface StreamRun {
  grant(items: number): void;
  cancel(): void;
}

/** A way to ask for the stream. */
export interface StreamPort {
  /** Items that may be on their way or wait. */
  readonly windowItems: number;
  open(sink: StreamSink): StreamRun;
  read(bytes: Uint8Array): Unpacked;
  /** Lets go of what an item holds that nobody reads. */
  discard(bytes: Uint8Array): void;
}

/**
 * The items that a remote function streams. Cold: each subscription, and each iteration, is a call. As an Observable it grants
 * items as fast as `next` returns; by `for await` only as they are asked for, which holds back the function itself. Tensors of
 * an item belong to the scope in which it was subscribed, or asked for; where there is none, to the subscriber. They carry
 * no gradient: streams are not recorded. Unsubscribing, or leaving the loop, ends the function.
 */
export class RemoteStream<T> extends Observable<T> implements AsyncIterable<T> {
  readonly #port: StreamPort;

  constructor(port: StreamPort) {
    super((subscriber) => {
      const inside = captured();
      const step = Math.ceil(port.windowItems / 2);
      let taken = 0;
      const read = (bytes: Uint8Array): void => {
        frameSlot.get()?.recorder?.check();
        subscriber.next(port.read(bytes).body as T);
      };
      const item = (bytes: Uint8Array): void => {
        try {
          inside(() => read(bytes));
        } catch (error) {
          port.discard(bytes);
          subscriber.error(error);
        }
        taken++;
        if (taken < step || subscriber.closed) return;
        run.grant(taken);
        taken = 0;
      };
      const end = (failure?: { readonly error: Error }): void => {
        if (failure === undefined) subscriber.complete();
        else subscriber.error(failure.error);
      };
      const run = port.open({ item, end });
      return () => run.cancel();
    });
    this.#port = port;
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<T, undefined> {
    return new StreamIterator<T>(this.#port);
  }
}

interface Waiter<T> {
  /** Where the tensors of the item belong. */
  readonly frame: Frame | undefined;
  readonly resolve: (result: IteratorResult<T, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

interface Item {
  readonly scope: TensorScope;
  readonly unpacked: Unpacked;
}

class StreamIterator<T> implements AsyncIterableIterator<T, undefined> {
  readonly #port: StreamPort;
  readonly #items = new Queue<Item>();
  readonly #waiters = new Queue<Waiter<T>>();
  #run: StreamRun | undefined;
  #isOver = false;
  #failure: { readonly error: unknown } | undefined;
  #taken = 0;

  constructor(port: StreamPort) {
    this.#port = port;
  }

  next(): Promise<IteratorResult<T, undefined>> {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ frame: frameSlot.get(), resolve, reject });
      try {
        if (!this.#isOver) this.#run ??= this.#open();
      } catch (error) {
        this.#end({ error });
      }
      this.#serve();
    });
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.#stop();
    return Promise.resolve({ done: true, value: undefined });
  }

  throw(error: unknown): Promise<IteratorResult<T, undefined>> {
    this.#stop();
    return Promise.reject(error);
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<T, undefined> {
    return this;
  }

  #open(): StreamRun {
    const item = (bytes: Uint8Array): void => {
      const scope = new TensorScope();
      try {
        if (this.#items.length >= this.#port.windowItems) {
          throw new GradwireError('protocol_error', 'a peer sent more items than were granted');
        }
        const unpacked = scope.run(() => this.#port.read(bytes));
        this.#items.push({ scope, unpacked });
      } catch (error) {
        scope.dispose();
        this.#port.discard(bytes);
        this.#run?.cancel();
        this.#end({ error });
      }
      this.#serve();
    };
    return this.#port.open({
      item,
      end: (failure) => {
        this.#end(failure);
        this.#serve();
      },
    });
  }

  #end(failure: { readonly error: unknown } | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#failure = failure;
  }

  /** Nobody wants the rest. */
  #stop(): void {
    this.#end(undefined);
    this.#failure = undefined;
    this.#run?.cancel();
    for (const { scope, unpacked } of this.#items.all()) {
      disposeReferences(unpacked.body);
      scope.dispose();
    }
    this.#items.clear();
    this.#serve();
  }

  /** Gives those who wait what there is. */
  #serve(): void {
    for (let waiter = this.#waiters.peek(); waiter !== undefined; waiter = this.#waiters.peek()) {
      const item = this.#items.shift();
      if (item === undefined && !this.#isOver) return;
      this.#waiters.shift();
      if (item !== undefined) this.#hand(item, waiter);
      else if (this.#failure !== undefined) {
        waiter.reject(this.#failure.error);
        this.#failure = undefined;
      } else waiter.resolve({ done: true, value: undefined });
    }
  }

  #hand({ scope, unpacked }: Item, { frame, resolve, reject }: Waiter<T>): void {
    try {
      frame?.recorder?.check();
    } catch (error) {
      disposeReferences(unpacked.body);
      scope.dispose();
      this.#stop();
      return reject(error);
    }
    scope.dispose(unpacked.tensors);
    for (const t of unpacked.tensors) frame?.scope?.track.push(t);
    resolve({ done: false, value: unpacked.body as T });
    this.#taken++;
    if (this.#isOver || this.#taken < Math.ceil(this.#port.windowItems / 2)) return;
    this.#run?.grant(this.#taken);
    this.#taken = 0;
  }
}
