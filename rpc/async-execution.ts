/** Functions that answer later, and what a remote function may answer with. Knows nothing of messages. */
import { types } from 'node:util';
import { GradwireError } from '../errors.ts';
import { isFuture } from './future.ts';
import type { AnyFunction } from './registry.ts';

/** Nothing more is asked of a function that returns a promise; of others, what no function is. */
type AnswersLater<F extends AnyFunction> =
  ReturnType<F> extends Promise<unknown> ? unknown : { readonly 'it returns no promise': never };

const marked = new WeakSet<AnyFunction>();

/**
 * Marks a function, or an instance, static or class method, whose answer comes later: it returns an `RpcFuture`, or
 * another promise, at once, and the caller gets what that becomes. Gives the function itself, so that it can stand
 * where the function is defined; it is a decorator for methods too. PyTorch: `functions.async_execution`.
 *
 *     const addLater = rpc.asyncExecution((to: string, x: number) => rpc.rpcAsync(to, add, [x, 1]).then(double));
 *
 * While the answer is awaited the call holds its arguments (tensors too) and nothing else; it is counted by `getDebugInfo`
 * as asynchronous. What is not marked may be an `async` function, which holds nothing either, but must not return a
 * future: that is refused with `unsupported_value`, since a future cannot be sent. So is what a marked function returns
 * if it is no promise.
 *
 * @throws GradwireError `invalid_argument`
 */
export function asyncExecution<F extends AnyFunction>(fn: F & AnswersLater<F>): F {
  if (typeof fn !== 'function') {
    throw new GradwireError('invalid_argument', 'asyncExecution takes a function');
  }
  marked.add(fn);
  return fn;
}

/** Calls under way of marked functions, on one worker. */
export class AsyncCalls {
  running = 0;

  /**
   * What a function of the user returned, if it may be an answer.
   *
   * @param what what the caller knows the function by
   * @throws GradwireError `unsupported_value`
   */
  answer(fn: AnyFunction, what: string, result: unknown): unknown {
    if (!marked.has(fn)) {
      if (!isFuture(result)) return result;
      result.onComplete(() => {});
      const rule = 'a future cannot be sent: mark the function by rpc.asyncExecution, or await it';
      throw new GradwireError('unsupported_value', `${what} returned a future; ${rule}`);
    }
    if (!types.isPromise(result)) {
      const rule = 'marked by rpc.asyncExecution returns an RpcFuture or another promise';
      throw new GradwireError(
        'unsupported_value',
        `${what} returned no promise: a function ${rule}`,
      );
    }
    this.running++;
    const done = (): void => {
      this.running--;
    };
    result.then(done, done);
    return result;
  }
}
