/**
 * The callee's side of requests and notices: unpacks them, runs their handlers as this worker with a scope of their own,
 * and hands the outcome to be sent back. Knows nothing of connections.
 */
import { debuglog } from 'node:util';
import { GradwireError } from '../errors.ts';
import { TensorScope, type tf } from '../tensor/index.ts';
import type { Answer, IncomingOptions, RawMessage } from './answering.ts';
import { discard } from './discard.ts';
import { byTag, COMMON_EXTENSIONS } from './extensions.ts';
import { toWire } from './failure.ts';
import type { IncomingTrace } from './interceptor.ts';
import { isUserKind, type MessageKind } from './message.ts';
import { readHead, unpack } from './packet.ts';
import { quietly } from './quietly.ts';
import { isOwnField, type RequestMeta, readMeta } from './request-meta.ts';
import { RunningCall } from './running-call.ts';
import { StreamOutlet } from './stream-outlet.ts';
import { isThenable } from './thenable.ts';
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
  /** The caller takes the items of a stream, and no other result. */
  readonly outlet: StreamOutlet | undefined;
  /**
   * To be called before code of the user runs: errors say that it may have been executed from now on, and not before.
   *
   * @param what runs, for messages about tensors that it makes
   * @throws GradwireError if the caller waits no longer
   */
  begin(what: string): void;
  /** Calls `work` once the answer has been made. */
  after(work: () => void): void;
}

export type Handler = (request: Incoming) => unknown;

/** What is done about a request that failed before its handler could run. */
export type Unreached = (peer: number, head: unknown, error: unknown) => void;

const NOTICE_EXTENSIONS = byTag(COMMON_EXTENSIONS);

export class IncomingRequests {
  readonly #options: IncomingOptions;
  readonly #handlers = new Map<MessageKind, Handler>();
  readonly #unreached = new Map<MessageKind, Unreached>();
  readonly #waiting = new WaitingRequests();
  #running = 0;
  /** What runs, meetings excepted, by caller and id. */
  readonly #calls = new Map<number, Map<number, RunningCall>>();

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
    for (const [peer, calls] of this.#calls) {
      if (!isThere(peer)) continue;
      for (const { awaitedUntil } of calls.values()) last = Math.max(last, awaitedUntil);
    }
    return last;
  }

  /** Requests that are being worked on for callers that are still there. */
  awaited(isThere: (peer: number) => boolean): number {
    let count = this.#running;
    for (const [peer, calls] of this.#calls) if (!isThere(peer)) count -= calls.size;
    return count;
  }

  /** A request that runs. */
  find(peer: number, id: number): RunningCall | undefined {
    return this.#calls.get(peer)?.get(id);
  }

  /** The caller of a request waits no longer. */
  cancel(peer: number, id: number): void {
    const message = 'the caller cancelled the call or waits no longer';
    this.find(peer, id)?.stop(new GradwireError('cancelled', message));
  }

  /** A caller is gone: nobody waits for what it asked. */
  peerGone(peer: number, name: string): void {
    const message = `the caller ${name} is gone`;
    for (const call of this.#calls.get(peer)?.values() ?? []) {
      call.stop(new GradwireError('unavailable', message, { peer: name }));
    }
  }

  handle(kind: MessageKind, handler: Handler, unreached?: Unreached): void {
    this.#handlers.set(kind, handler);
    if (unreached !== undefined) this.#unreached.set(kind, unreached);
  }

  /** A message that is not answered: its failure is only logged. */
  notice(peer: number, { kind, bytes }: RawMessage): void {
    if (isUserKind(kind)) return debug('rank %d sent a %s as a notice', peer, kind);
    const scope = new TensorScope();
    const failed = (error: unknown): void => {
      debug('a %s notice of rank %d failed: %s', kind, peer, error);
    };
    const over: (() => void)[] = [() => scope.dispose()];
    const finish = (): void => {
      for (const work of over) work();
    };
    try {
      const { head } = scope.run(() => unpack(bytes, NOTICE_EXTENSIONS));
      const notice: Incoming = {
        peer,
        kind,
        head,
        body: null,
        timeoutMs: 0,
        scope,
        outlet: undefined,
        takeScope: () => {},
        begin: () => {},
        after: (work) => over.push(work),
      };
      const result = this.#options.enter(peer, undefined, () =>
        scope.run(() => this.#handlers.get(kind)?.(notice)),
      );
      if (!isThenable(result)) return finish();
      Promise.resolve(result).catch(failed).finally(finish);
    } catch (error) {
      failed(error);
      finish();
    }
  }

  /** A request: always answered, whatever happens. One that runs already is no request. */
  request(peer: number, message: RawMessage): void {
    const { kind, id, bytes } = message;
    if (this.find(peer, id) !== undefined) {
      return debug('rank %d sent request %d while it was under way', peer, id);
    }
    const refusal = this.#options.refusal?.(peer, this.#calls.get(peer)?.size ?? 0);
    if (refusal !== undefined) return this.#refuse(peer, message, refusal);
    const scope = new TensorScope();
    const over: (() => void)[] = [];
    const weight = kind === 'barrier' ? 0 : 1;
    let isTaken = false;
    let hasBegun = false;
    let isReached = false;
    let head: unknown;
    let traces: ReadonlyMap<string, IncomingTrace> = new Map();
    let outlet: StreamOutlet | undefined;
    this.#running += weight;
    const call = new RunningCall(peer, id, this.#options.deadlines);
    const finish = (outcome: Answer['kind'], value: unknown): void => {
      this.#running -= weight;
      this.#remove(call);
      call.end();
      // Nobody waits for an answer that was cancelled, or whose time is over.
      if (!call.isStopped && !call.hasHeardDeadline) {
        this.#options.answer({
          peer,
          id,
          kind: outcome,
          body: value,
          traces,
          order: outlet?.order,
        });
      }
      if (!isTaken) scope.dispose();
      for (const work of over) work();
      this.#options.done(kind);
    };
    const failed = (error: unknown): void => {
      debug('a %s of rank %d failed: %O', kind, peer, error);
      const unreached = isReached ? undefined : this.#unreached.get(kind);
      // Where nothing could be read the bytes are still there.
      if (unreached)
        quietly('a refused request', () => unreached(peer, head ?? readHead(bytes), error));
      finish('failure', toWire(error, hasBegun));
    };
    try {
      const { incoming: extensions, unconfirmed } = this.#options.extensions;
      const unpacked = scope.run(() => unpack(bytes, extensions));
      const { body, tensors } = unpacked;
      head = unpacked.head;
      const meta = readMeta(unpacked.meta);
      const { timeoutMs } = meta;
      call.until = performance.now() + timeoutMs;
      if (weight > 0) this.#add(call);
      traces = this.#traces({ peer, kind, tensors }, meta);
      if (meta.stream !== undefined) outlet = this.#outlet(call, scope, meta.stream);
      const incoming: Incoming = {
        peer,
        kind,
        head,
        body,
        timeoutMs,
        scope,
        outlet,
        takeScope: () => {
          isTaken = true;
        },
        begin: (what) => {
          call.throwIfStopped();
          scope.maker = what;
          hasBegun = true;
        },
        after: (work) => over.push(work),
      };
      const work = (): unknown => {
        isReached = true;
        return this.#run(incoming, [...traces.values()]);
      };
      const run = (): unknown => this.#options.enter(peer, call, work);
      const before = this.#waiting.before(incoming, unconfirmed);
      // What would be made later for a caller that is gone by then would never be freed.
      const result = before?.then(() => call.throwIfStopped()).then(run) ?? run();
      if (!isThenable(result)) return finish('reply', result);
      Promise.resolve(result).then((value) => finish('reply', value), failed);
    } catch (error) {
      failed(error);
    }
  }

  /** Nothing of the request is kept, and its caller hears why. */
  #refuse(peer: number, { kind, id, bytes }: RawMessage, refusal: GradwireError): void {
    discard(bytes, this.#options.extensions.incoming);
    const body = toWire(refusal, false);
    this.#options.answer({ peer, id, kind: 'failure', body, traces: new Map(), order: undefined });
    this.#options.done(kind);
  }

  #add(call: RunningCall): void {
    const calls = this.#calls.get(call.peer);
    if (calls === undefined) this.#calls.set(call.peer, new Map([[call.id, call]]));
    else calls.set(call.id, call);
  }

  #remove(call: RunningCall): void {
    const calls = this.#calls.get(call.peer);
    if (calls?.get(call.id) === call) calls.delete(call.id);
  }

  #outlet(call: RunningCall, scope: TensorScope, credit: number): StreamOutlet {
    const outlet = new StreamOutlet({
      id: call.id,
      credit,
      scope,
      pack: (item) => this.#options.packItem(call, item),
      send: (item) => this.#options.sendItem(call, item),
    });
    call.onStop = () => outlet.close();
    call.onCredit = (items) => outlet.grant(items);
    return outlet;
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
    meta: RequestMeta,
  ): ReadonlyMap<string, IncomingTrace> {
    const traces = new Map<string, IncomingTrace>();
    for (const [key, value] of Object.entries(meta)) {
      if (isOwnField(key)) continue;
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
