/** What counts as a stream: an async iterable or an Observable. Knows nothing of calls. */
import { isObservable, type Observable } from 'rxjs';
import { GradwireError } from '../errors.ts';

/** What a function may return to stream its items. */
export type Streamed<T> = Observable<T> | AsyncIterable<T>;

/** Whether `R`, what a function is declared to return, is a stream and nothing else; an object that can also be iterated is none. */
export type IsStream<R> = 0 extends 1 & R
  ? false
  : [R] extends [never]
    ? false
    : [R] extends [Observable<unknown>]
      ? true
      : [R] extends [AsyncIterable<unknown>]
        ? [keyof R] extends [keyof AsyncGenerator]
          ? true
          : false
        : false;

/**
 * Nothing more is asked of a function that returns `R` than to be one, unless it streams: then what no function is, so that
 * calls that give one answer do not take it.
 */
export type OneAnswer<R> =
  IsStream<Awaited<R>> extends true
    ? { readonly 'it streams: call it by rpcStream': never }
    : unknown;

export function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  if (typeof value !== 'object' || value === null || !(Symbol.asyncIterator in value)) return false;
  return typeof value[Symbol.asyncIterator] === 'function';
}

/** Why a value cannot be the result of a call, if it is a stream. */
export function notStreamed(value: unknown): GradwireError | undefined {
  try {
    if (!isAsyncIterable(value) && !isObservable(value)) return undefined;
  } catch {
    // A proxy that throws.
    return undefined;
  }
  const message = 'the result is a stream: call the function by rpcStream';
  return new GradwireError('unsupported_value', message);
}

/** Items of a stream and its end share this order key. */
export function streamOrder(id: number): readonly string[] {
  return [`stream ${id}`];
}
