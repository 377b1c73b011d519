/**
 * The callee's side of requests and notices: unpacks them, runs their handlers as this worker with a scope of their own,
 * and hands the outcome to be sent back. Knows nothing of connections.
 */
import { debuglog } from 'node:util';
import { GradwireError } from '../errors.ts';
import { TensorScope, type tf } from '../tensor/index.ts';
import { toWire } from './failure.ts';
import type { IncomingTrace, Interceptor } from './interceptor.ts';
import type { MessageKind } from './message.ts';
import { unpack } from './packet.ts';
import type { PeerExtensions } from './reference-extension.ts';
import type { Extension } from './value-codec.ts';
import { WaitingRequests } from './waiting-requests.ts';

const debug = debuglog('gradwire');

/** A request from a peer, with its tensors in `scope`. */
export interface Incoming {
  /** Rank of the caller. */
  readonly peer: number;
  readonly kind: MessageKind;
  readonly head: unknown;
  readonly body: unknown;
  /** How long the caller still waits, in ms. */
  readonly timeoutMs: number;
  /** Owns the tensors of the arguments and what the handler makes; freed after the answer, unless the handler takes it. */
  readonly scope: TensorScope;
  /** The handler keeps the scope: it will not be freed after the answer. */
  takeScope(): void;
  /** To be called before code of the user runs: errors say that it may have been executed from now on, and not before. */
  begin(): void;
  /** Calls `work` once the answer has been made. */
  after(work: () => void): void;
}

export type Handler = (request: Incoming) => unknown;

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
}

export interface IncomingOptions {
  readonly interceptors: readonly Interceptor[];
  readonly extensions: Pick<PeerExtensions, 'incoming' | 'unconfirmed'>;
  /** Runs a handler as this worker, called by `peer`. */
  enter<R>(peer: number, work: () => R): R;
  /** Sends an answer, or a failure that says why it cannot be sent. Must not throw. */
  answer(answer: Answer): void;
  /** A request is done. */
  done(kind: MessageKind): void;
}

interface Meta extends Readonly<Record<string, unknown>> {
  readonly timeoutMs: number;
}

const NO_EXTENSIONS: ReadonlyMap<number, Extension> = new Map();

export class IncomingRequests {
  readonly #options: IncomingOptions;
  readonly #handlers = new Map<MessageKind, Handler>();
  readonly #waiting = new WaitingRequests();
  #running = 0;
  /** The callers of what runs, meetings excepted, and until when they wait, by `performance.now()`. */
  readonly #awaited = new Set<{ readonly peer: number; readonly until: number }>();

  constructor(options: IncomingOptions) {
    this.#options = options;
  }

  /** Requests that are being worked on; those who only wait for others at a meeting are not. */
  get running(): number {
    return this.#running;
  }

  /** When the last caller of what runs now stops waiting for it; of those callers alone that are still there. */
  awaitedUntil(isThere: (peer: number) => boolean): number {
    let last = Number.NEGATIVE_INFINITY;
    for (const { peer, until } of this.#awaited) if (isThere(peer)) last = Math.max(last, until);
    return last;
  }

  handle(kind: MessageKind, handler: Handler): void {
    this.#handlers.set(kind, handler);
  }

  /** A message that is not answered: its failure is only logged. */
  notice(peer: number, { kind, bytes }: RawMessage): void {
    const scope = new TensorScope();
    const failed = (error: unknown): void => {
      debug('a %s notice of rank %d failed: %s', kind, peer, error);
    };
    const over: (() => void)[] = [() => scope.dispose()];
    const finish = (): void => {
      for (const work of over) work();
    };
    try {
      const { head } = scope.run(() => unpack(bytes, NO_EXTENSIONS));
      const notice: Incoming = {
        peer,
        kind,
        head,
        body: null,
        timeoutMs: 0,
        scope,
        takeScope: () => {},
        begin: () => {},
        after: (work) => over.push(work),
      };
      const result = this.#options.enter(peer, () =>
        scope.run(() => this.#handlers.get(kind)?.(notice)),
      );
      if (!isThenable(result)) return finish();
      Promise.resolve(result).catch(failed).finally(finish);
    } catch (error) {
      failed(error);
      finish();
    }
  }

  /** A request: always answered, whatever happens. */
  request(peer: number, message: RawMessage): void {
    const { kind, id, bytes } = message;
    const scope = new TensorScope();
    const over: (() => void)[] = [];
    const weight = kind === 'barrier' ? 0 : 1;
    let isTaken = false;
    let hasBegun = false;
    let traces: ReadonlyMap<string, IncomingTrace> = new Map();
    this.#running += weight;
    let awaited = { peer, until: performance.now() };
    const finish = (outcome: Answer['kind'], body: unknown): void => {
      this.#running -= weight;
      this.#awaited.delete(awaited);
      this.#options.answer({ peer, id, kind: outcome, body, traces });
      if (!isTaken) scope.dispose();
      for (const work of over) work();
      this.#options.done(kind);
    };
    try {
      const { incoming: extensions, unconfirmed } = this.#options.extensions;
      unconfirmed.length = 0;
      const unpacked = scope.run(() => unpack(bytes, extensions));
      const { head, body, tensors } = unpacked;
      const meta = readMeta(unpacked.meta);
      awaited = { peer, until: awaited.until + meta.timeoutMs };
      if (weight > 0) this.#awaited.add(awaited);
      traces = this.#traces({ peer, kind, tensors }, meta);
      const incoming: Incoming = {
        peer,
        kind,
        head,
        body,
        timeoutMs: meta.timeoutMs,
        scope,
        takeScope: () => {
          isTaken = true;
        },
        begin: () => {
          hasBegun = true;
        },
        after: (work) => over.push(work),
      };
      const run = (): unknown =>
        this.#options.enter(peer, () => this.#run(incoming, [...traces.values()]));
      const before = this.#waiting.before(incoming, unconfirmed);
      const result = before === undefined ? run() : before.then(run);
      if (!isThenable(result)) return finish('reply', result);
      Promise.resolve(result).then(
        (value) => finish('reply', value),
        (error) => finish('failure', toWire(error, hasBegun)),
      );
    } catch (error) {
      finish('failure', toWire(error, hasBegun));
    }
  }

  #run(incoming: Incoming, traces: readonly IncomingTrace[]): unknown {
    const handler = this.#handlers.get(incoming.kind);
    if (handler === undefined) {
      throw new GradwireError('protocol_error', `this worker answers no ${incoming.kind} requests`);
    }
    const work = (): unknown => incoming.scope.run(() => handler(incoming));
    return traces.reduceRight<() => unknown>((inner, trace) => () => trace.run(inner), work)();
  }

  #traces(
    call: { peer: number; kind: MessageKind; tensors: readonly tf.Tensor[] },
    meta: Meta,
  ): ReadonlyMap<string, IncomingTrace> {
    const traces = new Map<string, IncomingTrace>();
    for (const [key, value] of Object.entries(meta)) {
      if (key === 'timeoutMs') continue;
      const interceptor = this.#options.interceptors.find((candidate) => candidate.key === key);
      if (interceptor === undefined) {
        const message = `the caller uses ${key}, which this worker has not loaded: import 'gradwire'`;
        throw new GradwireError('protocol_error', message);
      }
      traces.set(key, interceptor.incoming(call, value));
    }
    return traces;
  }
}

/** @throws GradwireError `protocol_error` */
function readMeta(meta: unknown): Meta {
  if (typeof meta === 'object' && meta !== null && 'timeoutMs' in meta) {
    if (typeof meta.timeoutMs === 'number') return meta as Meta;
  }
  throw new GradwireError('protocol_error', 'a request without a time limit', { stage: 'decode' });
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    'then' in value &&
    typeof value.then === 'function'
  );
}
