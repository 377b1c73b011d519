/** The requests of one worker's user: their time limits, whether they may be held, and streams of answers. */
import { GradwireError } from '../errors.ts';
import { callSlot, handledCall } from './current.ts';
import { discard } from './discard.ts';
import type { Endpoint } from './endpoint.ts';
import type { RpcFuture } from './future.ts';
import type { Members } from './members.ts';
import type { MessageKind } from './message.ts';
import { didYouMean } from './nearest.ts';
import { checkTimeout } from './options.ts';
import type { Needed, Request } from './pending.ts';
import { nameOf } from './registry.ts';
import { RemoteStream, type StreamRun, type StreamSink } from './remote-stream.ts';
import type { Handle } from './rref.ts';
import { MAX_WAITING_ITEMS } from './stream-outlet.ts';
import type { CallOptions, Here, Invocable, Rest, StreamOptions } from './types.ts';
import type { WorkerInfo } from './worker-info.ts';

/** Items that may be on their way or wait unread, where the caller does not say. */
const WINDOW_ITEMS = 16;

/** What is asked of a worker. */
export interface Call {
  readonly kind: MessageKind;
  readonly head: unknown;
  /** Arguments in an array, or null. */
  readonly body: unknown;
  /** What is asked, for error messages. */
  readonly what: string;
  readonly order?: readonly string[];
  /** What is needed until the answer. */
  readonly during?: readonly Needed[];
  readonly options: CallOptions | undefined;
}

/** The worker that asks. */
export interface Asker {
  readonly info: WorkerInfo;
  readonly members: Members;
  readonly endpoint: Endpoint;
}

export class Calls {
  readonly #worker: Asker;
  #timeoutMs: number;
  #isClosed = false;

  /** @param timeoutMs time limit of calls that set none */
  constructor(worker: Asker, timeoutMs: number) {
    this.#worker = worker;
    this.#timeoutMs = timeoutMs;
  }

  get timeoutMs(): number {
    return this.#timeoutMs;
  }

  set timeoutMs(timeoutMs: number) {
    this.#timeoutMs = checkTimeout('timeoutMs', timeoutMs);
  }

  /** What `handle` is of could not be made: the calls through it fail with the same error, wherever they have come to. */
  failThrough(handle: Handle, error: Error): void {
    if (handle.uses > 0) this.#worker.endpoint.failThrough(handle, error);
  }

  /** Further calls throw. */
  close(): void {
    this.#isClosed = true;
  }

  /** Calls what is registered under the name of `callable`. @throws GradwireError as `send` does */
  call<A extends unknown[], R>(
    to: WorkerInfo,
    callable: Invocable<A, R>,
    ...[args, options]: Rest<A>
  ): RpcFuture<Here<Awaited<R>>> {
    const name = nameOf(callable);
    const call: Call = { kind: 'call', head: [name], body: args ?? [], what: name, options };
    return this.send(to, call) as RpcFuture<Here<Awaited<R>>>;
  }

  /** @throws GradwireError `shut_down`, `invalid_argument`, `unavailable`, and what `Endpoint.request` throws */
  send(to: WorkerInfo, call: Call): RpcFuture<unknown> {
    return this.#worker.endpoint.request(this.#request(to, call, this.#timeoutMs));
  }

  /** @throws GradwireError `invalid_argument`; the rest when it is subscribed */
  stream(
    to: WorkerInfo,
    call: Call & { readonly options: StreamOptions | undefined },
  ): RemoteStream<unknown> {
    const windowItems = call.options?.windowItems ?? WINDOW_ITEMS;
    if (!Number.isSafeInteger(windowItems) || windowItems < 1 || windowItems > MAX_WAITING_ITEMS) {
      const message = `windowItems ${windowItems} is not a whole number from 1 to ${MAX_WAITING_ITEMS}`;
      throw new GradwireError('invalid_argument', message, { maybeExecuted: false });
    }
    const { endpoint } = this.#worker;
    const open = (sink: StreamSink): StreamRun => {
      // The subscription may come long after the stream was made.
      for (const needed of call.during ?? []) needed.check?.();
      const request = this.#request(to, call, Number.POSITIVE_INFINITY);
      const stream = { credit: windowItems, item: (bytes: Uint8Array) => sink.item(bytes) };
      const { id, answer } = endpoint.open({ ...request, stream });
      answer.then(
        () => sink.end(),
        (error: Error) => sink.end({ error }),
      );
      return {
        grant: (items) => endpoint.grant(to.id, id, items),
        cancel: () => endpoint.cancel(id, undefined),
      };
    };
    const read = (bytes: Uint8Array) => endpoint.read(bytes);
    const drop = (bytes: Uint8Array): void => discard(bytes, endpoint.extensions);
    return new RemoteStream({ windowItems, open, read, discard: drop });
  }

  #request(to: WorkerInfo, { options, ...call }: Call, unlimitedMs: number): Request {
    const details = { maybeExecuted: false };
    if (this.#isClosed) {
      const message = `${this.#worker.info.name} has been shut down: ${call.what} was not sent`;
      throw new GradwireError('shut_down', message, details);
    }
    if (call.body !== null && !Array.isArray(call.body)) {
      const message = `the arguments of ${call.what} are not in an array`;
      throw new GradwireError('invalid_argument', message, details);
    }
    this.#worker.members.checkTakesWork(to, call.what);
    if (options !== undefined) checkOptions(options, call.what);
    const signal = options?.signal;
    if (signal !== undefined && !(signal instanceof AbortSignal)) {
      throw new GradwireError('invalid_argument', 'signal is no AbortSignal', details);
    }
    const ownMs = checkTimeout('timeoutMs', options?.timeoutMs ?? unlimitedMs);
    const peer = to.id;
    const within = handledCall();
    if (within === undefined)
      return { peer, timeoutMs: ownMs, bodyName: 'arguments', signal, ...call };
    const inherited = callSlot.get()?.call;
    const timeoutMs = inherited === undefined ? ownMs : Math.min(ownMs, inherited.remainingMs);
    return { peer, timeoutMs, bodyName: 'arguments', signal, isNested: true, ...call };
  }
}

const OPTIONS = new Set(['timeoutMs', 'signal', 'windowItems']);

/** @throws GradwireError `invalid_argument`: an option of another name would be a limit that is none */
function checkOptions(options: object, what: string): void {
  const details = { maybeExecuted: false };
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    const message = `the options of ${what} are ${JSON.stringify(options)}: give an object such as { timeoutMs: 1000 }`;
    throw new GradwireError('invalid_argument', message, details);
  }
  for (const name of Object.keys(options)) {
    if (OPTIONS.has(name)) continue;
    const message = `calls have no option ${name} (${what}).${didYouMean(name, OPTIONS)}`;
    throw new GradwireError('invalid_argument', message, details);
  }
}
