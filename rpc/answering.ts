/** What the handling of requests gets from, and hands to, the endpoint. Types alone. */
import type { GradwireError } from '../errors.ts';
import type { Deadlines } from './deadlines.ts';
import type { IncomingTrace, Interceptor } from './interceptor.ts';
import type { MessageKind } from './message.ts';
import type { Parcel } from './parcel.ts';
import type { PeerExtensions } from './reference-extension.ts';
import type { RunningCall } from './running-call.ts';

/** A message as it came; the bytes are valid during the call only. */
export interface RawMessage {
  readonly kind: MessageKind;
  readonly id: number;
  readonly bytes: Uint8Array;
}

export interface Answer {
  readonly peer: number;
  readonly id: number;
  readonly kind: 'reply' | 'failure';
  readonly body: unknown;
  readonly traces: ReadonlyMap<string, IncomingTrace>;
  /** Messages that share a key arrive in order. */
  readonly order: readonly string[] | undefined;
}

export interface IncomingOptions {
  readonly interceptors: readonly Interceptor[];
  readonly extensions: Pick<PeerExtensions, 'incoming' | 'unconfirmed'>;
  readonly deadlines: Deadlines;
  /** Runs a handler as this worker, called by `peer`. */
  enter<R>(peer: number, call: RunningCall | undefined, work: () => R): R;
  /** Why one more request of a peer is not taken, of which so many run, if it is not. */
  refusal?(peer: number, running: number): GradwireError | undefined;
  /** Packs an item of a stream. @throws GradwireError what cannot be sent */
  packItem(call: RunningCall, item: unknown): Parcel;
  /** Sends an item of a stream. */
  sendItem(call: RunningCall, item: Parcel): void;
  /** Sends an answer, or a failure that says why it cannot be sent. Must not throw. */
  answer(answer: Answer): void;
  /** A request is done. */
  done(kind: MessageKind): void;
}
