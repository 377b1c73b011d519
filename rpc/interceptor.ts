/**
 * How a layer above takes part in calls without rpc knowing it: it sees the tensors of each request and answer, adds plain
 * data to them under its key, and runs the callee's work in its own surroundings. Distributed autograd enters here.
 */
import type { tf } from '../tensor/index.ts';
import type { MessageKind } from './message.ts';

/** One request of a user, at either end. */
export interface CallView {
  /** Rank of the worker at the other end. */
  readonly peer: number;
  readonly kind: MessageKind;
  /** Tensors of the arguments, in the order that both ends share. */
  readonly tensors: readonly tf.Tensor[];
}

/** The caller's side of one call. */
export interface OutgoingTrace {
  /** Plain data for the callee. */
  readonly meta: unknown;
  /** The answer came; called where its tensors belong, before the caller gets them. */
  answered?(meta: unknown, tensors: readonly tf.Tensor[]): void;
}

/** The callee's side of one call. */
export interface IncomingTrace {
  /** Runs the work of the call. */
  run<R>(work: () => R): R;
  /** The result is about to be sent: plain data for the caller. */
  answer?(tensors: readonly tf.Tensor[]): unknown;
}

export interface Interceptor {
  /** Name of its data in messages; a callee without this interceptor refuses the call. */
  readonly key: string;
  /** Called in the caller's asynchronous flow; undefined: takes no part. */
  outgoing(call: CallView): OutgoingTrace | undefined;
  /** Called only when the caller's side took part. May throw: the call then fails with that error. */
  incoming(call: CallView, meta: unknown): IncomingTrace;
}
