/**
 * One worker's traffic: a channel per peer, the requests it waits for, and what others ask of it. Knows how a request
 * travels and is answered, not what it asks for. Requests are sent at most once (guarantee G7).
 */
import { frameSlot, outside } from '../tensor/index.ts';
import type { RawMessage } from './answering.ts';
import { Answers } from './answers.ts';
import { Deadlines } from './deadlines.ts';
import { discard } from './discard.ts';
import type { WorkerFaults } from './faults/fault-plan.ts';
import { RpcFuture } from './future.ts';
import { type Handler, IncomingRequests, type Unreached } from './incoming.ts';
import type { Interceptor, OutgoingTrace } from './interceptor.ts';
import type { LaneLimits } from './lane.ts';
import { Lanes } from './lanes.ts';
import { isUserKind, type MessageKind } from './message.ts';
import { readNumber } from './number-packet.ts';
import { type Unpacked, unpack } from './packet.ts';
import { Parcel } from './parcel.ts';
import { callRefusal, type PeerLimits } from './peer-limits.ts';
import { type Needed, PendingRequests, type Request, refusalOf } from './pending.ts';
import type { PeerExtensions } from './reference-extension.ts';
import type { RunningCall } from './running-call.ts';
import { SeenIds } from './seen-ids.ts';
import { settle } from './settle.ts';
import type { Connection } from './transport.ts';
import type { Extension } from './value-codec.ts';

export interface EndpointOptions {
  nameOf(peer: number): string;
  readonly extensions: PeerExtensions;
  readonly interceptors: readonly Interceptor[];
  readonly maxMessageBytes: number;
  readonly limits: LaneLimits & PeerLimits;
  /** What befalls messages, in tests. */
  readonly faults?: WorkerFaults | undefined;
  /** A peer's connection is over. */
  onPeerGone(peer: number, isFarewell: boolean, reason: Error | undefined): void;
  /** Runs the handler of a request or notice of `peer` as this worker. */
  enter<R>(peer: number, call: RunningCall | undefined, work: () => R): R;
}

export class Endpoint {
  readonly #options: EndpointOptions;
  readonly #lanes: Lanes;
  readonly #deadlines = new Deadlines();
  readonly #pending: PendingRequests;
  readonly #incoming: IncomingRequests;
  readonly #onIdle: (() => void)[] = [];
  #activity = 0;
  /** When a request last began or ended, meetings excepted, by `performance.now()`. */
  #movedAt = performance.now();

  constructor(options: EndpointOptions) {
    this.#options = options;
    this.#lanes = new Lanes(options);
    const ended = (kind: MessageKind): void => {
      if (kind !== 'barrier') this.#movedAt = performance.now();
      if (this.#isIdle) for (const tell of this.#onIdle.splice(0)) tell();
    };
    this.#pending = new PendingRequests({
      deadlines: this.#deadlines,
      nameOf: options.nameOf,
      abandon: (request, parcel) => this.#abandon(request, parcel),
      ended: (kind, parcel) => {
        parcel.lane?.settled(parcel);
        ended(kind);
      },
    });
    const answers = new Answers(this.#lanes);
    this.#incoming = new IncomingRequests({
      interceptors: options.interceptors,
      extensions: options.extensions,
      deadlines: this.#deadlines,
      enter: options.enter,
      refusal: callRefusal(options.limits, options.nameOf),
      packItem: ({ peer, id }, body) => answers.packItem(peer, id, body),
      sendItem: ({ peer }, parcel) => answers.sendItem(peer, parcel),
      answer: (answer) => answers.send(answer),
      done: ended,
    });
  }

  /** Requests of this worker that have no answer yet, meetings excepted. */
  get waitingCount(): number {
    return this.#pending.size;
  }

  /** Requests of others that are being worked on. */
  get runningCount(): number {
    return this.#incoming.running;
  }

  /** Requests, own and others', that somebody waits for who is there. */
  get awaitedCount(): number {
    return this.waitingCount + this.#incoming.awaited((peer) => this.isConnected(peer));
  }

  /** Requests sent and received so far, meetings excepted. */
  get activity(): number {
    return this.#activity;
  }

  /**
   * For how long, in ms, nothing has been under way, meetings excepted. A request is until it is answered, but no longer
   * than its caller waits for the answer.
   */
  get quietForMs(): number {
    if (this.waitingCount > 0) return 0;
    const now = performance.now();
    const awaited = this.#incoming.awaitedUntil((peer) => this.isConnected(peer));
    return now - Math.max(this.#movedAt, Math.min(now, awaited));
  }

  handle(kind: MessageKind, handler: Handler, unreached?: Unreached): void {
    this.#incoming.handle(kind, handler, unreached);
  }

  attach(peer: number, connection: Connection): void {
    const seen = new SeenIds();
    this.#lanes.attach(peer, connection, {
      message: (kind, id, bytes) => outside(() => this.#message(peer, { kind, id, bytes }, seen)),
      close: (isFarewell, reason) => {
        this.#pending.failPeer(peer, isFarewell, reason);
        this.#incoming.peerGone(peer, this.#options.nameOf(peer));
        this.#options.onPeerGone(peer, isFarewell, reason);
      },
    });
  }

  /** Ends the connection to a peer, who is heard no longer; of one that is over, tells further calls why. */
  cut(peer: number, reason: Error): void {
    this.#lanes.cut(peer, reason);
  }

  isConnected(peer: number): boolean {
    return this.#lanes.isConnected(peer);
  }

  /** Resolves when a request of the user to `peer` would be sent at once. */
  writable(peer: number): Promise<void> {
    return this.#lanes.to(peer).writable();
  }

  /**
   * Sends a request and resolves with the body of the answer, whose tensors belong to the caller's surroundings.
   * What cannot be sent is thrown at once; everything later rejects.
   */
  request(request: Request): RpcFuture<unknown> {
    return this.open(request).answer;
  }

  /** The same, with the id of the request; 0 for one that was refused. */
  open(request: Request): { readonly id: number; readonly answer: RpcFuture<unknown> } {
    const { peer, kind, order, stream } = request;
    const lane = this.#lanes.to(peer);
    lane.assertOpen(request.what);
    const mayWait = request.isNested !== true && stream === undefined;
    const way = isUserKind(kind) ? (mayWait ? 'held' : 'nested') : 'free';
    const gaveUp = refusalOf(request);
    const refusal = gaveUp ?? lane.refusal(way, request.what);
    // A reference would hide until it is used that there are too many.
    if (refusal !== gaveUp && kind === 'remote') throw refusal;
    if (refusal !== undefined) {
      return { id: 0, answer: new RpcFuture((_, reject) => reject(refusal)) };
    }
    const traces = new Map<string, OutgoingTrace>();
    const undo: (() => void)[] = [];
    const packet = this.#lanes.pack(peer, request, undo, (tensors) => {
      const meta: Record<string, unknown> = { timeoutMs: request.timeoutMs };
      if (stream !== undefined) {
        meta['stream'] = stream.credit;
        return meta;
      }
      for (const interceptor of this.#options.interceptors) {
        const trace = interceptor.outgoing({ peer, kind, tensors });
        if (trace === undefined) continue;
        traces.set(interceptor.key, trace);
        meta[interceptor.key] = trace.meta;
      }
      return meta;
    });
    this.#began(kind);
    const failed = (error: Error): void => this.#pending.fail(parcel.id, error);
    const parcel = new Parcel({ kind, id: 0, order, undo, failed }, packet);
    const answer = this.#pending.add({ request, traces, frame: frameSlot.get(), parcel });
    lane.post(parcel, way);
    return { id: parcel.id, answer };
  }

  /** Stops waiting for the answer to a request of this worker, which rejects with `cancelled`. */
  cancel(id: number, reason: unknown): void {
    this.#pending.cancel(id, reason);
  }

  /** Stops waiting for the answers to all requests during which `needed` is held. */
  failThrough(needed: Needed, error: Error): void {
    this.#pending.failThrough(needed, error);
  }

  /** What the values of messages that come may hold beyond plain ones. */
  get extensions(): ReadonlyMap<number, Extension> {
    return this.#options.extensions.incoming;
  }

  /** What a message holds, its tensors in the current scope. @throws GradwireError `protocol_error` */
  read(bytes: Uint8Array): Unpacked {
    return unpack(bytes, this.extensions);
  }

  /** Asks for more items of the stream that answers a request. */
  grant(peer: number, id: number, items: number): void {
    this.#lanes.to(peer).tell('streamCredit', id, items);
  }

  /** Sends a message that is not answered; it is lost if the peer is gone. */
  notify(peer: number, kind: MessageKind, head: unknown, order: readonly string[] = []): void {
    this.#lanes.notify(peer, kind, head, order);
  }

  /** Resolves when no request is under way in either direction. */
  idle(): Promise<void> {
    if (this.#isIdle) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  /** Ends every connection in good order; what still waits is cancelled. Resolves when all are over; bounded. */
  async close(): Promise<void> {
    const over = this.#lanes.close();
    this.#pending.close();
    this.#deadlines.close();
    await over;
  }

  get #isIdle(): boolean {
    return this.waitingCount === 0 && this.runningCount === 0;
  }

  #began(kind: MessageKind): void {
    if (kind === 'barrier') return;
    this.#activity++;
    this.#movedAt = performance.now();
  }

  #abandon({ kind }: Request, parcel: Parcel): boolean {
    const { lane } = parcel;
    if (!isUserKind(kind) || lane === undefined) return false;
    if (lane.withdraw(parcel)) return true;
    lane.cancel(parcel);
    return false;
  }

  #message(peer: number, message: RawMessage, seen: SeenIds): void {
    const { kind, id, bytes } = message;
    this.#options.extensions.from = peer;
    if (kind === 'reply' || kind === 'failure') this.#answer(peer, message);
    else if (kind === 'streamItem') {
      const stream = this.#pending.find(id, peer)?.request.stream;
      if (stream === undefined) discard(bytes, this.#options.extensions.incoming);
      else stream.item(bytes);
    } else if (kind === 'cancel') this.#incoming.cancel(peer, id);
    else if (kind === 'streamCredit') this.#incoming.find(peer, id)?.onCredit?.(readNumber(bytes));
    else if (message.id === 0) this.#incoming.notice(peer, message);
    else if (seen.isNew(id)) {
      this.#began(message.kind);
      this.#incoming.request(peer, message);
    }
    // Only requests wait for confirmations.
    this.#options.extensions.unconfirmed.length = 0;
  }

  #answer(peer: number, message: RawMessage): void {
    const { extensions } = this;
    const pending = this.#pending.take(message.id, peer);
    // What was not asked for, or has been answered, is not even read: its references belong to the first answer.
    if (pending !== undefined)
      settle(pending, message, { extensions, peerName: this.#options.nameOf(peer) });
    else if (this.#pending.takeAbandoned(message.id)) discard(message.bytes, extensions);
  }
}
