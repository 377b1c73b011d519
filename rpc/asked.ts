/** What a worker sends for its users. Types only. */
import type { MessageKind } from './message.ts';
import type { Handle } from './rref.ts';
import type { CallOptions } from './types.ts';

/** What is asked of a worker. */
export interface Call {
  readonly kind: MessageKind;
  readonly head: unknown;
  readonly body: unknown;
  readonly what: string;
  readonly order?: readonly string[];
  readonly options: CallOptions | undefined;
  /** Copies that are needed until the answer. */
  readonly during?: readonly Handle[];
}

/** How an object is made: by a function or class, or by a method of another object. */
export interface Creation extends Omit<Call, 'kind' | 'head' | 'order' | 'during'> {
  /** The reference whose method it is. */
  readonly through?: Handle;
  /** Name of the function or class, or reference and method. */
  readonly target: readonly string[];
}
