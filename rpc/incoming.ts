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
import type { Extension } from './value-codec.ts';

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
  extensions(peer: number): ReadonlyMap<number, Extension>;
  /** Runs a handler as this worker, called by `peer`. */
  enter<R>(peer: number, work: () => R): R;
  /** Sends an answer; throws what makes it impossible. */
  answer(answer: Answer): void;
  /** A request is done. */
  done(): void;
}

export class IncomingRequests {
  readonly #options: IncomingOptions;
  readonly #handlers = new Map<MessageKind, Handler>();
  #running = 0;

  constructor(options: IncomingOptions) {
    this.#options = options;
  }

  /** Requests that are being worked on. */
  get running(): number {
    return this.#running;
  }

  handle(kind: MessageKind, handler: Handler): void {
    this.#handlers.set(kind, handler);
  }

  /** A message that is not answered: its failure is only logged. */
  notice(peer: number, { kind, bytes }: RawMessage): void {
    try {
      const { head } = unpack(bytes, new Map());
      const scope = new TensorScope();
      const notice = { peer, kind, head, body: null, timeoutMs: 0, scope, takeScope: () => {} };
      this.#options.enter(peer, () => this.#handlers.get(kind)?.(notice));
    } catch (error) {
      debug('a %s notice of rank %d failed: %s', kind, peer, error);
    }
  }

  /** A request: always answered, whatever happens. */
  request(peer: number, message: RawMessage): void {
    const scope = new TensorScope();
    let isTaken = false;
    let traces: ReadonlyMap<string, IncomingTrace> = new Map();
    this.#running++;
    const finish = (kind: Answer['kind'], body: unknown): void => {
      this.#running--;
      this.#answer({ peer, id: message.id, kind, body, traces });
      if (!isTaken) scope.dispose();
      this.#options.done();
    };
    try {
      const unpacked = scope.run(() => unpack(message.bytes, this.#options.extensions(peer)));
      const { kind } = message;
      const { head, body, meta, tensors } = unpacked;
      traces = this.#traces({ peer, kind, tensors }, meta);
      const { timeoutMs } = meta as { timeoutMs: number };
      const takeScope = (): void => {
        isTaken = true;
      };
      const incoming = { peer, kind, head, body, timeoutMs, scope, takeScope };
      const result = this.#options.enter(peer, () => this.#run(incoming, [...traces.values()]));
      if (!isThenable(result)) return finish('reply', result);
      Promise.resolve(result).then(
        (value) => finish('reply', value),
        (error) => finish('failure', toWire(error)),
      );
    } catch (error) {
      finish('failure', toWire(error));
    }
  }

  /** A result that cannot be sent becomes a failure that says so. */
  #answer(answer: Answer): void {
    try {
      this.#options.answer(answer);
    } catch (error) {
      this.#options.answer({ ...answer, kind: 'failure', body: toWire(error), traces: new Map() });
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
    meta: unknown,
  ): ReadonlyMap<string, IncomingTrace> {
    const traces = new Map<string, IncomingTrace>();
    for (const [key, value] of Object.entries(meta as object)) {
      if (key === 'timeoutMs') continue;
      const interceptor = this.#options.interceptors.find((candidate) => candidate.key === key);
      if (interceptor === undefined) {
        const message = `the caller uses ${key}, which this worker has not loaded: import 'gradwire'`;
        throw new GradwireError('protocol_error', message, { maybeExecuted: false });
      }
      traces.set(key, interceptor.incoming(call, value));
    }
    return traces;
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    'then' in value &&
    typeof value.then === 'function'
  );
}
