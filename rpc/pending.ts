/** The requests of one worker that wait for their answer, and every way in which they stop waiting without one. */
import { GradwireError } from '../errors.ts';
import type { Frame } from '../tensor/index.ts';
import type { Deadline, Deadlines } from './deadlines.ts';
import type { OutgoingTrace } from './interceptor.ts';
import type { MessageKind } from './message.ts';
import type { Message } from './packet.ts';

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
  /** What must stay while the answer is waited for. */
  readonly during?: readonly { hold(): void; letGo(): void }[];
}

export interface NewRequest {
  readonly request: Request;
  readonly traces: ReadonlyMap<string, OutgoingTrace>;
  /** Where the tensors of the answer belong. */
  readonly frame: Frame | undefined;
}

export interface PendingRequest extends NewRequest {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

interface Entry extends PendingRequest {
  readonly startedAt: number;
  readonly deadline: Deadline;
}

const NOTHING: readonly never[] = [];

export class PendingRequests {
  readonly #entries = new Map<number, Entry>();
  readonly #deadlines: Deadlines;
  readonly #nameOf: (peer: number) => string;
  readonly #onFewer: (kind: MessageKind) => void;
  #nextId = 1;
  /** How many of the entries only wait for others at a meeting. */
  #meetings = 0;

  /** @param onFewer is called whenever a request stops waiting */
  constructor(
    deadlines: Deadlines,
    nameOf: (peer: number) => string,
    onFewer: (kind: MessageKind) => void,
  ) {
    this.#deadlines = deadlines;
    this.#nameOf = nameOf;
    this.#onFewer = onFewer;
  }

  /** Requests that wait for work to be done: meetings are none. */
  get size(): number {
    return this.#entries.size - this.#meetings;
  }

  add(request: NewRequest): { readonly id: number; readonly answer: Promise<unknown> } {
    const id = this.#nextId;
    this.#nextId = id === 0xffff_ffff ? 1 : id + 1;
    if (request.request.kind === 'barrier') this.#meetings++;
    for (const held of request.request.during ?? NOTHING) held.hold();
    const answer = new Promise((resolve, reject) => {
      const startedAt = performance.now();
      const { timeoutMs } = request.request;
      const deadline = this.#deadlines.add(timeoutMs, () => this.#expire(id));
      this.#entries.set(id, { ...request, resolve, reject, startedAt, deadline });
    });
    return { id, answer };
  }

  /** The request that an answer from `peer` belongs to; it no longer waits. */
  take(id: number, peer: number): PendingRequest | undefined {
    return this.#entries.get(id)?.request.peer === peer ? this.#remove(id) : undefined;
  }

  fail(id: number, error: Error): void {
    this.#remove(id)?.reject(error);
  }

  failPeer(peer: number, isFarewell: boolean, reason: Error | undefined): void {
    const name = this.#nameOf(peer);
    const how = isFarewell ? 'left' : 'is gone, its connection broke,';
    for (const [id, { request, startedAt }] of this.#entries) {
      if (request.peer !== peer) continue;
      const details = {
        peer: name,
        stage: 'call',
        maybeExecuted: true,
        elapsedMs: Math.round(performance.now() - startedAt),
        cause: reason,
      };
      const message = `${name} ${how} before it answered ${request.what}`;
      this.fail(id, new GradwireError('unavailable', message, details));
    }
  }

  close(): void {
    for (const [id, { request }] of this.#entries) {
      const message = `${request.what} was under way when this worker shut down`;
      const details = { peer: this.#nameOf(request.peer), maybeExecuted: true };
      this.fail(id, new GradwireError('shut_down', message, details));
    }
  }

  #remove(id: number): Entry | undefined {
    const entry = this.#entries.get(id);
    if (entry === undefined) return undefined;
    this.#entries.delete(id);
    if (entry.request.kind === 'barrier') this.#meetings--;
    entry.deadline.cancel();
    for (const held of entry.request.during ?? NOTHING) held.letGo();
    this.#onFewer(entry.request.kind);
    return entry;
  }

  #expire(id: number): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    const { request, startedAt } = entry;
    const peer = this.#nameOf(request.peer);
    const message =
      `${peer} did not answer ${request.what} within ${request.timeoutMs} ms; ` +
      'it may still run there. Raise timeoutMs if it needs longer';
    const elapsedMs = Math.round(performance.now() - startedAt);
    const details = { peer, stage: 'call', maybeExecuted: true, elapsedMs };
    this.fail(id, new GradwireError('deadline_exceeded', message, details));
  }
}
