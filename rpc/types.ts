/** The types of remote calls: what crosses, and how. Types only. */
import type { SparseSlices, tf } from '../tensor/index.ts';
import type { RpcFuture } from './future.ts';
import type { RemoteStream } from './remote-stream.ts';
import type { IsStream, OneAnswer, Streamed } from './streamed.ts';
import type { WorkerInfo } from './worker-info.ts';

/** Options of one call. */
export interface CallOptions {
  /**
   * How long to wait for the answer, in ms; Infinity waits as long as the peer lives. In a handler, no longer than the caller
   * of the call that it handles. Default: the worker's, 60 s.
   */
  readonly timeoutMs?: number;
  /**
   * Its abort cancels the call, which rejects at once with `cancelled`: one that was not sent yet never is, else the callee's
   * `currentCall().signal` aborts. One signal may serve any number of calls.
   */
  readonly signal?: AbortSignal;
}

/** Options of `RRef#backward`. */
export interface RRefBackwardOptions {
  /** Keeps the graph, so that there can be another pass. Default: false. */
  readonly retainGraph?: boolean;
  /** How long the pass may take on all workers, in ms. Default: 600,000. */
  readonly timeoutMs?: number;
}

/**
 * Options of a streaming call; `timeoutMs` limits the whole stream. Default: no limit. An open stream takes one of the peer's
 * `maxInFlightCalls` until it ends, so that many of them leave less room for calls; it is never held itself.
 */
export interface StreamOptions extends CallOptions {
  /** Items that may be on their way or wait unread, at most 1,000. Default: 16. */
  readonly windowItems?: number;
}

/** As `Rest`, with the options of a stream. */
export type StreamRest<A extends unknown[]> = [] extends A
  ? [args?: A, options?: StreamOptions]
  : [args: A, options?: StreamOptions];

/** Arguments may be left out when all parameters may. */
export type Rest<A extends unknown[]> = [] extends A
  ? [args?: A, options?: CallOptions]
  : [args: A, options?: CallOptions];

/**
 * What a call may run: a function with these arguments that does not stream, or a class, whose new object is the result.
 * Generic functions that hand on what is called take it as this.
 */
export type Invocable<A extends unknown[], R> = (
  | ((...args: A) => R)
  | (abstract new (
      ...args: A
    ) => R)
) &
  OneAnswer<R>;

/** Any RRef: references cross as they are. */
interface ReferenceLike {
  ownerName(): string;
  localValue(): Promise<unknown>;
}

type Leaf =
  | null
  | undefined
  | boolean
  | number
  | bigint
  | string
  | Date
  | Error
  | ArrayBuffer
  | ArrayBufferView
  | SparseSlices
  | WorkerInfo
  | ReferenceLike;

// biome-ignore lint/suspicious/noExplicitAny: methods of any signature
type Method = (...args: any[]) => unknown;

type KeysOfMethods<T> = { [K in keyof T]: T[K] extends Method ? K : never }[keyof T];

// Variables come first: by their fields they could pass for a WorkerInfo.
/**
 * What a value of type `T` arrives as: a variable as a tensor, containers element by element, the rest as it is. What has
 * methods is no record but an instance of a value class, and stays what it is.
 */
export type Here<T> =
  T extends tf.Variable<infer R>
    ? tf.Tensor<R>
    : T extends Leaf
      ? T
      : T extends tf.Tensor
        ? T
        : T extends Map<infer K, infer V>
          ? Map<Here<K>, Here<V>>
          : T extends Set<infer V>
            ? Set<Here<V>>
            : T extends readonly unknown[]
              ? { [K in keyof T]: Here<T[K]> }
              : T extends object
                ? [KeysOfMethods<T>] extends [never]
                  ? { [K in keyof T]: Here<T[K]> }
                  : T
                : T;

/** Names of the methods of `T` that can be called remotely. */
export type MethodName<T> = {
  [K in keyof T]: K extends `_${string}` | 'then' | 'constructor'
    ? never
    : T[K] extends Method
      ? K
      : never;
}[keyof T] &
  string;

/** Names of the methods of `T` that answer once. */
export type AnsweringName<T> = {
  [K in MethodName<T>]: T[K] extends (...args: infer _) => infer R
    ? IsStream<Awaited<R>> extends true
      ? never
      : K
    : never;
}[MethodName<T>];

/** `rref.rpcSync()`: each method runs on the owner and answers with a copy of its result. */
export type RemoteMethods<T> = {
  readonly [K in AnsweringName<T>]: T[K] extends (...args: infer A) => infer R
    ? (...args: A) => Promise<Here<Awaited<R>>>
    : never;
};

/** `rref.rpcAsync()`: the same, each answer a future. */
export type RemoteFutures<T> = {
  readonly [K in AnsweringName<T>]: T[K] extends (...args: infer A) => infer R
    ? (...args: A) => RpcFuture<Here<Awaited<R>>>
    : never;
};

/** Names of the methods of `T` that stream. */
type StreamName<T> = {
  [K in MethodName<T>]: T[K] extends (...args: infer _) => infer R
    ? Awaited<R> extends Streamed<unknown>
      ? K
      : never
    : never;
}[MethodName<T>];

type ItemOf<R> = R extends Streamed<infer Item> ? Item : never;

/** `rref.rpcStream()`: each method that streams runs on the owner for each subscription. */
export type RemoteStreams<T> = {
  readonly [K in StreamName<T>]: T[K] extends (...args: infer A) => infer R
    ? (...args: A) => RemoteStream<Here<ItemOf<Awaited<R>>>>
    : never;
};
