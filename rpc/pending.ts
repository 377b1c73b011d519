/** The requests of one worker that wait for their answer, and every way in which they stop waiting without one. Carries promise P1. */
import { type ErrorDetails, GradwireError, withDetails } from '../errors.ts';
import type { Frame } from '../tensor/index.ts';
import { BoundedSet } from './bounded-set.ts';
import type { Deadline, Deadlines } from './deadlines.ts';
import { RpcFuture } from './future.ts';
import type { OutgoingTrace } from './interceptor.ts';
import type { MessageKind } from './message.ts';
import { onAbort } from './on-abort.ts';
import type { Message } from './packet.ts';
import type { Parcel } from './parcel.ts';
import { lossOf } from './peer-loss.ts';

/** A request to a peer. */
export interface Request extends Message {
  /** Rank of the callee. */
  readonly peer: number;
  readonly kind: MessageKind;
  readonly timeoutMs: number;
  /** What is asked, for error messages. */
  readonly what: string;
  /** Messages that share a key arrive in order. */
  readonly order?: readonly string[];
  /** Its abort cancels the request. */
  readonly signal?: AbortSignal | undefined;
  /** Was made in handling another request, and is never held. */
  readonly isNested?: boolean;
  /** The answer is a stream of items, of which so many may come before more are asked for. */
  readonly stream?: StreamRequest;
  /** What must stay while the answer is waited for. */
  readonly during?: readonly Needed[];
}

/** What a request needs until it is answered. */
export interface Needed {
  /** @throws GradwireError if it cannot be had any more */
  check?(): void;
  hold(): void;
  letGo(): void;
}

export interface StreamRequest {
  readonly credit: number;
  /** An item came; the bytes are valid during the call only. Must not throw. */
  item(bytes: Uint8Array): void;
}

export interface NewRequest {
  readonly request: Request;
  readonly traces: ReadonlyMap<string, OutgoingTrace>;
  /** Where the tensors of the answer belong. */
  readonly frame: Frame | undefined;
  /** Its message, which gets its id from here. */
  readonly parcel: Parcel;
}

export interface PendingRequest extends NewRequest {
  /** By `performance.now()`. */
  readonly startedAt: number;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

interface Entry extends PendingRequest {
  readonly deadline: Deadline;
  readonly stopListening: (() => void) | undefined;
}

export interface PendingOptions {
  readonly deadlines: Deadlines;
  nameOf(peer: number): string;
  /** A request stopped waiting. */
  ended(kind: MessageKind, parcel: Parcel): void;
  /**
   * Nobody waits for the answer to a request any more: takes its message back, or tells the peer.
   * @returns whether the peer certainly will not run it
   */
  abandon(request: Request, parcel: Parcel): boolean;
}

const NOTHING: readonly never[] = [];
/** Late answers that are expected at once: further ones are not read, and their references stay until their sender goes. */
const MAX_ABANDONED = 10_000;

export class PendingRequests {
  readonly #entries = new Map<number, Entry>();
  readonly #options: PendingOptions;
  /** Those given up whose answer may still come. */
  readonly #abandoned = new BoundedSet<number>(MAX_ABANDONED);
  #nextId = 1;
  /** How many of the entries only wait for others at a meeting. */
  #meetings = 0;

  constructor(options: PendingOptions) {
    this.#options = options;
  }

  /** Requests that wait for work to be done: meetings are none. */
  get size(): number {
    return this.#entries.size - this.#meetings;
  }

  add({ request, traces, frame, parcel }: NewRequest): RpcFuture<unknown> {
    const id = this.#nextId;
    this.#nextId = id === 0xffff_ffff ? 1 : id + 1;
    parcel.id = id;
    const { kind, timeoutMs, signal } = request;
    if (kind === 'barrier') this.#meetings++;
    for (const needed of request.during ?? NOTHING) needed.hold();
    return new RpcFuture<unknown>((resolve, reject) => {
      const startedAt = performance.now();
      const deadline = this.#options.deadlines.add(timeoutMs, () => this.#expire(id));
      const stopListening = signal && onAbort(signal, () => this.cancel(id, signal.reason));
      // Without a spread, which costs a microsecond: every call comes by here.
      this.#entries.set(id, {
        request,
        traces,
        frame,
        parcel,
        resolve,
        reject,
        startedAt,
        deadline,
        stopListening,
      });
    });
  }

  /** The request that an answer from `peer` belongs to; it no longer waits. */
  take(id: number, peer: number): PendingRequest | undefined {
    return this.#entries.get(id)?.request.peer === peer ? this.#remove(id) : undefined;
  }

  /** Whether an answer comes late, to a request that its caller has given up; once. */
  takeAbandoned(id: number): boolean {
    return this.#abandoned.delete(id);
  }

  /** The request that an item of a stream from `peer` belongs to. */
  find(id: number, peer: number): PendingRequest | undefined {
    const entry = this.#entries.get(id);
    return entry?.request.peer === peer ? entry : undefined;
  }

  fail(id: number, error: Error): void {
    const entry = this.#remove(id);
    if (entry === undefined) return;
    const { request, startedAt, reject } = entry;
    const details = {
      peer: this.#options.nameOf(request.peer),
      stage: 'send',
      maybeExecuted: false,
      callId: id,
      elapsedMs: Math.round(performance.now() - startedAt),
    };
    reject(withDetails(error, details));
  }

  /** The caller does not want the answer any more. */
  cancel(id: number, reason: unknown): void {
    this.#giveUp(id, 'cancelled', ({ request }, isUnsent) => {
      const where = isUnsent ? 'was not sent' : 'may still run there for a while';
      const message = `${request.what} was cancelled by its caller and ${where}`;
      return { message, cause: reason };
    });
  }

  /** What all these requests need cannot be had: nobody waits for their answers. */
  failThrough(needed: Needed, error: Error): void {
    for (const [id, { request, parcel }] of this.#entries) {
      if (request.during?.includes(needed) !== true) continue;
      this.#abandon(id, request, parcel);
      this.fail(id, error);
    }
  }

  failPeer(peer: number, isFarewell: boolean, reason: Error | undefined): void {
    const name = this.#options.nameOf(peer);
    const { code, how } = lossOf(isFarewell, reason);
    for (const [id, { request, parcel }] of this.#entries) {
      if (request.peer !== peer) continue;
      const details = { ...progressOf(parcel), cause: reason };
      const message = `${name} ${how} before it answered ${request.what}`;
      this.fail(id, new GradwireError(code, message, details));
    }
  }

  close(): void {
    for (const [id, { request, parcel }] of this.#entries) {
      const message = `${request.what} was under way when this worker shut down`;
      this.fail(id, new GradwireError('shut_down', message, progressOf(parcel)));
    }
  }

  #remove(id: number): Entry | undefined {
    const entry = this.#entries.get(id);
    if (entry === undefined) return undefined;
    const { request, deadline, stopListening, parcel } = entry;
    this.#entries.delete(id);
    if (request.kind === 'barrier') this.#meetings--;
    deadline.cancel();
    stopListening?.();
    for (const needed of request.during ?? NOTHING) needed.letGo();
    this.#options.ended(request.kind, parcel);
    return entry;
  }

  #expire(id: number): void {
    this.#giveUp(id, 'deadline_exceeded', ({ request }, isUnsent) => {
      const peer = this.#options.nameOf(request.peer);
      const limit = `within ${Math.round(request.timeoutMs)} ms`;
      const message = isUnsent
        ? `${request.what} could not be sent to ${peer} ${limit}`
        : `${peer} did not answer ${request.what} ${limit}; it may still run there`;
      return { message: `${message}. Raise timeoutMs if it needs longer` };
    });
  }

  /** Stops waiting without an answer, and tells the peer so. */
  #giveUp(
    id: number,
    code: 'cancelled' | 'deadline_exceeded',
    say: (entry: Entry, isUnsent: boolean) => { message: string; cause?: unknown },
  ): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    const { request, parcel } = entry;
    const isUnsent = this.#abandon(id, request, parcel);
    const { message, ...cause } = say(entry, isUnsent);
    const details = isUnsent ? { stage: 'queue', maybeExecuted: false } : progressOf(parcel);
    this.fail(id, new GradwireError(code, message, { ...details, ...cause }));
  }

  /** @returns whether the peer certainly will not run it */
  #abandon(id: number, request: Request, parcel: Parcel): boolean {
    const isUnsent = this.#options.abandon(request, parcel);
    if (!isUnsent) this.#abandoned.add(id);
    return isUnsent;
  }
}

/** How far a request has come that gets no answer: held, leaving, or away. */
function progressOf({ stage }: Parcel): Pick<ErrorDetails, 'stage' | 'maybeExecuted'> {
  if (stage === 'begun') return { stage: 'send', maybeExecuted: true };
  const isAway = stage === 'gone';
  return { stage: isAway ? 'call' : 'queue', maybeExecuted: isAway };
}

/** Why a request is not sent at all, if so: nobody would wait for its answer. */
export function refusalOf({ what, signal, timeoutMs }: Request): GradwireError | undefined {
  const details = { stage: 'queue', maybeExecuted: false };
  if (signal?.aborted === true) {
    const message = `${what} was not sent: its signal was aborted before`;
    return new GradwireError('cancelled', message, { ...details, cause: signal.reason });
  }
  if (timeoutMs > 0) return undefined;
  const message = `${what} was not sent: the call that it was made in has no time left`;
  return new GradwireError('deadline_exceeded', message, details);
}
