/** One member of a group: the calls of a user (described in worker-api.ts), and what they need. */
import { type Observable, ReplaySubject } from 'rxjs';
import { GradwireError } from '../errors.ts';
import { outside } from '../tensor/index.ts';
import type { Call, Creation } from './asked.ts';
import { Barriers } from './barrier.ts';
import { BarrierCalls } from './barrier-calls.ts';
import { addWorker, callSlot, removeWorker } from './current.ts';
import { Endpoint } from './endpoint.ts';
import { serve } from './handlers.ts';
import { Members } from './members.ts';
import type { MessageKind } from './message.ts';
import { checkTimeout, type ResolvedOptions } from './options.ts';
import { sharesOf, type WorkerShare } from './plugins.ts';
import { quietly } from './quietly.ts';
import { peerExtensions } from './reference-extension.ts';
import { makeReferences } from './reference-link.ts';
import type { References } from './references.ts';
import { type Callable, nameOf } from './registry.ts';
import { Handle, type MethodCall, type ReferenceHost, type RRef, referenceTo } from './rref.ts';
import {
  checkLeaks,
  checkShutdown,
  Departure,
  type Meeting,
  type ShutdownOptions,
  type ShutdownReport,
} from './shutdown.ts';
import type { Connection, Member } from './transport.ts';
import { connectionPair } from './transport-memory.ts';
import type { CallOptions, Here, Rest } from './types.ts';
import type { MemberEvent, Worker } from './worker-api.ts';
import type { WorkerCore } from './worker-core.ts';
import type { Peer, WorkerInfo } from './worker-info.ts';

export class WorkerNode implements Worker, WorkerCore, ReferenceHost {
  readonly info: WorkerInfo;
  readonly endpoint: Endpoint;
  readonly references: References;
  readonly timeoutMs: number;
  readonly #barriers: Barriers;
  readonly #shares: readonly WorkerShare[];
  /** Who belongs to the group. */
  readonly members: Members;
  readonly #closeNode: () => Promise<void>;
  readonly #barrierCalls: BarrierCalls = new BarrierCalls(this);
  /** Each member goes once, so what is kept for those who listen late is bounded. */
  readonly #events: ReplaySubject<MemberEvent> = new ReplaySubject<MemberEvent>();
  #departure: Departure | undefined;
  #isClosed = false;

  /** @param closeNode ends the carrier, when the worker has shut down */
  constructor(
    options: ResolvedOptions,
    members: readonly Member[],
    closeNode: () => Promise<void>,
  ) {
    this.members = new Members(members);
    this.info = this.members.get(options.rank);
    this.timeoutMs = options.timeoutMs;
    this.#closeNode = closeNode;
    this.references = makeReferences(this, options);
    this.#barriers = new Barriers(this.members);
    const interceptors: WorkerShare['interceptor'][] = [];
    this.endpoint = new Endpoint({
      nameOf: (rank) => this.nameOf(rank),
      extensions: peerExtensions({
        host: this,
        infoOf: (rank) => this.members.find(rank),
      }),
      interceptors,
      maxMessageBytes: options.maxMessageBytes,
      onPeerGone: (rank, isFarewell) => this.#peerGone(rank, isFarewell),
      enter: (caller, work) => callSlot.run({ worker: this, caller }, work),
    });
    const { endpoint, references } = this;
    serve({ endpoint, references, barriers: this.#barriers, members: this.members });
    this.#shares = sharesOf(this);
    for (const { interceptor } of this.#shares) interceptors.push(interceptor);
    const [mine, theirs] = connectionPair(
      { rank: options.rank, incarnation: '' },
      { rank: options.rank, incarnation: '' },
    );
    // Calls to oneself travel like all others, so that they behave alike: the far end only listens.
    this.endpoint.attach(options.rank, theirs);
    this.endpoint.attach(options.rank, mine);
    addWorker(this);
  }

  /** Takes over a connection to another member; ends it if this worker has shut down meanwhile. */
  attach(connection: Connection): void {
    if (this.#isClosed) connection.close();
    else {
      this.endpoint.attach(connection.peer.rank, connection);
      this.references.peerHere(connection.peer.rank);
    }
  }

  nameOf(rank: number): string {
    return this.members.nameOf(rank);
  }

  getWorkerInfo(peer: Peer = this.info): WorkerInfo {
    return this.members.get(peer);
  }

  getWorkerInfos(): readonly WorkerInfo[] {
    return this.members.all();
  }

  events(): Observable<MemberEvent> {
    return this.#events.asObservable();
  }

  rpcAsync<A extends unknown[], R>(
    to: Peer,
    fn: (...args: A) => R,
    ...[args, options]: Rest<A>
  ): Promise<Here<Awaited<R>>> {
    const name = nameOf(fn);
    return this.#send(this.members.get(to), {
      kind: 'call',
      head: [name],
      body: args ?? [],
      what: name,
      options,
    }) as Promise<Here<Awaited<R>>>;
  }

  async rpcSync<A extends unknown[], R>(
    to: Peer,
    fn: (...args: A) => R,
    ...rest: Rest<A>
  ): Promise<Here<Awaited<R>>> {
    return await this.rpcAsync(to, fn, ...rest);
  }

  remote<A extends unknown[], T>(
    to: Peer,
    cls: abstract new (...args: A) => T,
    ...rest: Rest<A>
  ): RRef<T>;
  remote<A extends unknown[], R>(
    to: Peer,
    fn: (...args: A) => R,
    ...rest: Rest<A>
  ): RRef<Awaited<R>>;
  remote(to: Peer, callable: Callable, args: unknown[] = [], options?: CallOptions): RRef<unknown> {
    const name = nameOf(callable);
    const call = { target: [name], body: args, what: name, options };
    return this.#create(this.members.get(to), call);
  }

  async barrier(names?: readonly string[], options?: CallOptions): Promise<void> {
    await this.#barrierCalls.pass(names, options);
  }

  /** Waits at a meeting point, kept by the lowest of its ranks, and tells whether all votes were true. */
  async meet({ key, ranks, isTolerant, vote, options }: Meeting): Promise<boolean> {
    const leader = this.getWorkerInfo(Math.min(...ranks));
    const head = [key, ranks, isTolerant, vote];
    const what = 'the barrier';
    return (
      (await this.#send(leader, { kind: 'barrier', head, body: null, what, options })) === true
    );
  }

  run<R>(fn: () => R): R {
    return callSlot.run({ worker: this, caller: undefined }, fn);
  }

  async shutdown(options: ShutdownOptions = {}): Promise<ShutdownReport> {
    checkShutdown(options);
    return outside(() => {
      if (this.#departure !== undefined) this.#departure.hurry(options);
      else this.#departure = new Departure(this, options, () => this.#close());
      return this.#departure.report.then((report) => {
        checkLeaks(report, options);
        return report;
      });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown();
  }

  // What references ask of their worker.

  fetch(handle: Handle, options: CallOptions | undefined): Promise<unknown> {
    return this.#ask(handle, 'fetch', [], { what: 'toHere', body: [], options });
  }

  fetchType(handle: Handle, options: CallOptions | undefined): Promise<string> {
    const call = { what: 'getType', body: [], options };
    return this.#ask(handle, 'type', [], call) as Promise<string>;
  }

  callMethod(handle: Handle, method: string, { args, options }: MethodCall): Promise<unknown> {
    return this.#ask(handle, 'method', [method], { what: method, body: args, options });
  }

  remoteMethod(handle: Handle, method: string, { args, options }: MethodCall): RRef<unknown> {
    const target = [handle.id, method];
    return this.#create(handle.owner, {
      target,
      body: args,
      what: method,
      options,
      through: handle,
    });
  }

  release(handle: Handle): void {
    if (handle.isDisposed) return;
    handle.isDisposed = true;
    this.references.release(handle);
  }

  #ask(
    handle: Handle,
    kind: MessageKind,
    fields: readonly unknown[],
    call: Pick<Call, 'what' | 'body' | 'options'>,
  ): Promise<unknown> {
    const { id, owner } = handle;
    return this.#send(owner, {
      ...call,
      kind,
      head: [id, ...fields],
      order: [id],
      during: [handle],
    });
  }

  #create(owner: WorkerInfo, { target, through, ...call }: Creation): RRef<unknown> {
    const { references } = this;
    const handle = new Handle(this, owner, references.newId(), references.newForkId());
    const head = [handle.id, handle.fork, ...target];
    const order = [handle.id, String(target[0])];
    const during = through === undefined ? [handle] : [handle, through];
    references.begin(handle);
    try {
      handle.creation = this.#send(owner, { ...call, kind: 'remote', head, order, during });
    } catch (error) {
      references.release(handle);
      throw error;
    }
    references.awaitCreation(handle);
    return referenceTo(handle);
  }

  #send(to: WorkerInfo, { options, ...call }: Call): Promise<unknown> {
    if (this.#isClosed) {
      const message = `${this.info.name} has been shut down: ${call.what} was not sent`;
      throw new GradwireError('shut_down', message, { maybeExecuted: false });
    }
    if (call.body !== null && !Array.isArray(call.body)) {
      const message = `the arguments of ${call.what} are not in an array`;
      throw new GradwireError('invalid_argument', message, { maybeExecuted: false });
    }
    const timeoutMs = checkTimeout('timeoutMs', options?.timeoutMs ?? this.timeoutMs);
    return this.endpoint.request({ peer: to.id, timeoutMs, bodyName: 'arguments', ...call });
  }

  #peerGone(rank: number, isFarewell: boolean): void {
    if (rank === this.info.id || !this.members.markGone(rank, isFarewell)) return;
    if (!this.#isClosed) this.references.peerGone(rank);
    this.#barriers.checkAll();
    for (const share of this.#shares) {
      quietly('a share of a worker', () => share.peerGone(rank, isFarewell));
    }
    const type = isFarewell ? 'left' : 'dead';
    const worker = this.members.find(rank);
    if (worker !== undefined) outside(() => this.#events.next({ type, worker }));
  }

  async #close(): Promise<void> {
    this.#isClosed = true;
    removeWorker(this);
    outside(() => this.#events.complete());
    for (const share of this.#shares) quietly('a share of a worker', () => share.close());
    try {
      this.#barriers.close();
      await this.endpoint.close();
      this.references.close();
    } finally {
      await this.#closeNode();
    }
  }
}
