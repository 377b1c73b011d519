/**
 * One worker's traffic: a channel per peer, the requests it waits for, and what others ask of it. Knows how a request
 * travels and is answered, not what it asks for. Requests are sent at most once (guarantee G5).
 */
import { debuglog } from 'node:util';
import { GradwireError } from '../errors.ts';
import { enterFrame, frameSlot, outside, tf } from '../tensor/index.ts';
import { Channel } from './channel.ts';
import { Deadlines } from './deadlines.ts';
import { discard, disposeReferences } from './discard.ts';
import { fromWire, toWire } from './failure.ts';
import { type Answer, type Handler, IncomingRequests, type RawMessage } from './incoming.ts';
import type { Interceptor, OutgoingTrace } from './interceptor.ts';
import type { MessageKind } from './message.ts';
import type { Outgoing } from './outbox.ts';
import { type Message, type Packet, pack, type Unpacked, unpack } from './packet.ts';
import { PendingRequests, type Request } from './pending.ts';
import type { PeerExtensions } from './reference-extension.ts';
import type { Connection } from './transport.ts';

export interface EndpointOptions {
  nameOf(peer: number): string;
  readonly extensions: PeerExtensions;
  readonly interceptors: readonly Interceptor[];
  readonly maxMessageBytes: number;
  /** A peer's connection is over. */
  onPeerGone(peer: number, isFarewell: boolean): void;
  /** Runs a handler as this worker, called by `peer`. */
  enter<R>(peer: number, work: () => R): R;
}

const debug = debuglog('gradwire');

/** A message on its way to the channel of its peer. */
interface Posting extends Omit<Outgoing, 'packet'> {
  readonly peer: number;
  /** Puts back what packing has changed. */
  readonly undo: readonly (() => void)[];
  /** The message will not be sent. */
  failed(error: Error): void;
}

export class Endpoint {
  readonly #options: EndpointOptions;
  readonly #channels = new Map<number, Channel>();
  readonly #deadlines = new Deadlines();
  readonly #pending: PendingRequests;
  readonly #incoming: IncomingRequests;
  /** Messages to a peer that are still being read from a device: later ones wait for them. */
  readonly #posting = new Map<number, Promise<void>>();
  readonly #onIdle: (() => void)[] = [];
  #activity = 0;
  /** When a request last began or ended, meetings excepted, by `performance.now()`. */
  #movedAt = performance.now();

  constructor(options: EndpointOptions) {
    this.#options = options;
    const ended = (kind: MessageKind): void => {
      if (kind !== 'barrier') this.#movedAt = performance.now();
      if (this.#isIdle) for (const tell of this.#onIdle.splice(0)) tell();
    };
    this.#pending = new PendingRequests(this.#deadlines, options.nameOf, ended);
    this.#incoming = new IncomingRequests({
      interceptors: options.interceptors,
      extensions: options.extensions,
      enter: options.enter,
      answer: (answer) => this.#reply(answer),
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

  handle(kind: MessageKind, handler: Handler): void {
    this.#incoming.handle(kind, handler);
  }

  attach(peer: number, connection: Connection): void {
    const channel = new Channel(connection, this.#options.maxMessageBytes, {
      message: (kind, id, bytes) => outside(() => this.#message(peer, { kind, id, bytes })),
      close: (isFarewell, reason) => {
        if (this.#channels.get(peer) === channel) this.#channels.delete(peer);
        this.#pending.failPeer(peer, isFarewell, reason);
        this.#options.onPeerGone(peer, isFarewell);
      },
    });
    this.#channels.set(peer, channel);
  }

  isConnected(peer: number): boolean {
    return this.#channels.get(peer)?.isOpen ?? false;
  }

  /** Ends the connection to a peer, who counts as dead from now on. */
  cut(peer: number, reason: Error): void {
    this.#channels.get(peer)?.cut(reason);
  }

  /**
   * Sends a request and resolves with the body of the answer, whose tensors belong to the caller's surroundings.
   * What cannot be sent is thrown at once; everything later rejects.
   */
  request(request: Request): Promise<unknown> {
    const { peer, kind, order } = request;
    this.#channel(peer, request.what);
    const traces = new Map<string, OutgoingTrace>();
    const undo: (() => void)[] = [];
    const packet = this.#pack(peer, request, undo, (tensors) => {
      const meta: Record<string, unknown> = { timeoutMs: request.timeoutMs };
      for (const interceptor of this.#options.interceptors) {
        const trace = interceptor.outgoing({ peer, kind, tensors });
        if (trace === undefined) continue;
        traces.set(interceptor.key, trace);
        meta[interceptor.key] = trace.meta;
      }
      return meta;
    });
    this.#began(kind);
    const { id, answer } = this.#pending.add({ request, traces, frame: frameSlot.get() });
    const failed = (error: Error): void => this.#pending.fail(id, error);
    this.#post({ peer, kind, id, undo, failed, ...(order && { order }) }, packet);
    return answer;
  }

  /** Sends a message that is not answered; it is lost if the peer is gone. */
  notify(peer: number, kind: MessageKind, head: unknown, order: readonly string[] = []): void {
    if (!this.isConnected(peer)) return;
    const packet = pack({ head, body: null, bodyName: 'notice' }, [], () => null);
    this.#post({ peer, kind, id: 0, order, undo: [], failed: () => {} }, packet);
  }

  /** Resolves when no request is under way in either direction. */
  idle(): Promise<void> {
    if (this.#isIdle) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  /** Ends every connection in good order; what still waits is cancelled. Resolves when all are over; bounded. */
  async close(): Promise<void> {
    const over = [...this.#channels.values()].map((channel) => channel.close());
    this.#pending.close();
    this.#deadlines.close();
    await Promise.all(over);
  }

  get #isIdle(): boolean {
    return this.waitingCount === 0 && this.runningCount === 0;
  }

  #began(kind: MessageKind): void {
    if (kind === 'barrier') return;
    this.#activity++;
    this.#movedAt = performance.now();
  }

  #channel(peer: number, what: string): Channel {
    const channel = this.#channels.get(peer);
    if (channel?.isOpen) return channel;
    const name = this.#options.nameOf(peer);
    const details = { peer: name, stage: 'call', maybeExecuted: false };
    throw new GradwireError('unavailable', `${name} is gone: ${what} was not sent`, details);
  }

  #pack(
    peer: number,
    message: Message,
    undo: (() => void)[],
    meta: (tensors: readonly tf.Tensor[]) => unknown,
  ): Packet | Promise<Packet> {
    try {
      return pack(message, this.#options.extensions.outgoing(peer, undo), meta);
    } catch (error) {
      for (const step of undo) step();
      throw error;
    }
  }

  /** Puts a packet on the peer's channel, behind those that are still being read from a device. */
  #post({ peer, undo, failed, ...message }: Posting, packet: Packet | Promise<Packet>): void {
    const send = (ready: Packet): void => {
      this.#channel(peer, 'the message').send({ ...message, packet: ready });
    };
    const fail = (error: Error): void => {
      for (const step of undo) step();
      failed(error);
    };
    const before = this.#posting.get(peer);
    if (before === undefined && !(packet instanceof Promise)) {
      try {
        return send(packet);
      } catch (error) {
        return fail(error as Error);
      }
    }
    const sent = Promise.all([packet, before])
      .then(([ready]) => send(ready))
      .catch(fail)
      .finally(() => {
        if (this.#posting.get(peer) === sent) this.#posting.delete(peer);
      });
    this.#posting.set(peer, sent);
  }

  #message(peer: number, message: RawMessage): void {
    if (message.kind === 'reply' || message.kind === 'failure') this.#answer(peer, message);
    else if (message.id === 0) this.#incoming.notice(peer, message);
    else {
      this.#began(message.kind);
      this.#incoming.request(peer, message);
    }
  }

  #answer(peer: number, { kind, id, bytes }: RawMessage): void {
    const extensions = this.#options.extensions.incoming;
    const pending = this.#pending.take(id, peer);
    if (pending === undefined) return discard(bytes, extensions);
    const { request, frame, traces, resolve, reject } = pending;
    let answer: Unpacked | undefined;
    const read = (): unknown => {
      answer = unpack(bytes, extensions);
      const meta = answer.meta as Record<string, unknown> | null;
      for (const [key, trace] of traces) trace.answered?.(meta?.[key], answer.tensors);
      return answer.body;
    };
    try {
      frame?.recorder?.check();
      const body = frame === undefined ? read() : enterFrame(frame, read);
      if (kind === 'reply') resolve(body);
      else reject(fromWire(body, this.#options.nameOf(peer), request.what));
    } catch (error) {
      if (answer === undefined) discard(bytes, extensions);
      else {
        disposeReferences(answer.body);
        tf.dispose([...answer.tensors]);
      }
      reject(error as Error);
    }
  }

  /** An answer that cannot be sent becomes a failure that says so. */
  #reply({ peer, id, kind, body, traces }: Answer): void {
    if (!this.isConnected(peer)) return;
    const failed = (error: Error): void => {
      if (kind === 'failure') return debug('a failure could not be sent: %s', error);
      this.#reply({ peer, id, kind: 'failure', body: toWire(error, true), traces: new Map() });
    };
    const undo: (() => void)[] = [];
    try {
      const message = { head: null, body, bodyName: 'the result' };
      const packet = this.#pack(peer, message, undo, (tensors) => {
        const meta: Record<string, unknown> = {};
        for (const [key, trace] of traces) meta[key] = trace.answer?.(tensors);
        return meta;
      });
      this.#post({ peer, kind, id, undo, failed }, packet);
    } catch (error) {
      failed(error as Error);
    }
  }
}
