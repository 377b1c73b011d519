/** What a worker asks of others on behalf of its user. */
import { GradwireError } from '../errors.ts';
import type { MessageKind } from './message.ts';
import type { CallOptions } from './types.ts';

/** A request before it has a time limit. */
export interface Call {
  readonly kind: MessageKind;
  readonly head: unknown;
  /** Arguments in an array, or null. */
  readonly body: unknown;
  /** What is asked, for error messages. */
  readonly what: string;
  readonly order?: readonly string[];
  readonly options: CallOptions | undefined;
}

/** How an object is made: by a function or class, or by a method of another object. */
export interface Creation extends Omit<Call, 'kind' | 'head' | 'order'> {
  /** Name of the function or class, or reference and method. */
  readonly target: readonly string[];
}

/** @throws GradwireError `invalid_argument` */
export function checkArguments({ body, what }: Pick<Call, 'body' | 'what'>): void {
  if (body === null || Array.isArray(body)) return;
  const message = `the arguments of ${what} are not in an array`;
  throw new GradwireError('invalid_argument', message, { maybeExecuted: false });
}
