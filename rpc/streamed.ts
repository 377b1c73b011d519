/** What counts as a stream: an async iterable or an Observable. Knows nothing of calls. */
import { isObservable, type Observable } from 'rxjs';
import { GradwireError } from '../errors.ts';

/** What a function may return to stream its items. */
export type Streamed<T> = Observable<T> | AsyncIterable<T>;

export function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  if (typeof value !== 'object' || value === null || !(Symbol.asyncIterator in value)) return false;
  return typeof value[Symbol.asyncIterator] === 'function';
}

/** Why a value cannot be the result of a call, if it is a stream. */
export function notStreamed(value: unknown): GradwireError | undefined {
  if (!isAsyncIterable(value) && !isObservable(value)) return undefined;
  const message = 'the result is a stream: call the function by rpcStream';
  return new GradwireError('unsupported_value', message);
}

/** Items of a stream and its end share this order key. */
export function streamOrder(id: number): readonly string[] {
  return [`stream ${id}`];
}
