/** One member of a group: the calls of a user (described in worker-api.ts), and what they need. */
import { type Observable, ReplaySubject } from 'rxjs';
import { outside } from '../tensor/index.ts';
import { Barriers } from './barrier.ts';
import { BarrierCalls } from './barrier-calls.ts';
import { type Call, Calls } from './calls.ts';
import { addWorker, callSlot, removeWorker } from './current.ts';
import { Endpoint } from './endpoint.ts';
import { serve } from './handlers.ts';
import { Members } from './members.ts';
import type { ResolvedOptions } from './options.ts';
import { sharesOf, type WorkerShare } from './plugins.ts';
import { quietly } from './quietly.ts';
import { peerExtensions } from './reference-extension.ts';
import { References } from './references.ts';
import { type Callable, nameOf } from './registry.ts';
import type { RemoteStream } from './remote-stream.ts';
import { Handle, type MethodCall, type ReferenceHost, type RRef, referenceTo } from './rref.ts';
import {
  checkShutdown,
  Departure,
  type Meeting,
  type ShutdownOptions,
  type ShutdownReport,
} from './shutdown.ts';
import type { Streamed } from './streamed.ts';
import type { Connection, Member } from './transport.ts';
import { connectionPair } from './transport-memory.ts';
import type { CallOptions, Here, Rest, StreamRest } from './types.ts';
import type { MemberEvent, Worker } from './worker-api.ts';
import type { WorkerCore } from './worker-core.ts';
import type { Peer, WorkerInfo } from './worker-info.ts';

/** How an object is made: by a function or class, or by a method of another object. */
interface Creation extends Omit<Call, 'kind' | 'head' | 'order'> {
  /** Name of the function or class, or reference and method. */
  readonly target: readonly string[];
}

export class WorkerNode implements Worker, WorkerCore, ReferenceHost {
  readonly info: WorkerInfo;
  readonly endpoint: Endpoint;
  readonly references: References;
  readonly #calls: Calls;
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
    this.#closeNode = closeNode;
    this.references = new References(options.rank);
    this.#barriers = new Barriers(this.members);
    const interceptors: WorkerShare['interceptor'][] = [];
    this.endpoint = new Endpoint({
      nameOf: (rank) => this.nameOf(rank),
      extensions: peerExtensions({
        host: this,
        infoOf: (rank) => this.members.find(rank),
        announce: ({ kind, id, fork, owner, holder }) => {
          this.endpoint.notify(owner, kind, [id, fork, holder], [id]);
        },
      }),
      interceptors,
      maxMessageBytes: options.maxMessageBytes,
      limits: options,
      onPeerGone: (rank, isFarewell) => this.#peerGone(rank, isFarewell),
      enter: (caller, call, work) =>
        callSlot.run({ worker: this, caller, call, within: call }, work),
    });
    this.#calls = new Calls(this.endpoint, this.info.name, options.timeoutMs);
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
    else this.endpoint.attach(connection.peer.rank, connection);
  }

  get timeoutMs(): number {
    return this.#calls.timeoutMs;
  }

  setTimeoutMs(timeoutMs: number): void {
    this.#calls.timeoutMs = timeoutMs;
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
    return this.#calls.send(this.members.get(to), {
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

  rpcStream<A extends unknown[], T>(
    to: Peer,
    fn: (...args: A) => Streamed<T> | PromiseLike<Streamed<T>>,
    ...[args, options]: StreamRest<A>
  ): RemoteStream<Here<T>> {
    const name = nameOf(fn);
    const call = { kind: 'call', head: [name], body: args ?? [], what: name, options } as const;
    return this.#calls.stream(this.members.get(to), call) as RemoteStream<Here<T>>;
  }

  async writable(to: Peer): Promise<void> {
    await this.endpoint.writable(this.members.get(to).id);
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
      (await this.#calls.send(leader, { kind: 'barrier', head, body: null, what, options })) ===
      true
    );
  }

  run<R>(fn: () => R): R {
    return callSlot.run({ worker: this, caller: undefined, within: callSlot.get()?.within }, fn);
  }

  async shutdown(options: ShutdownOptions = {}): Promise<ShutdownReport> {
    checkShutdown(options);
    return outside(() => {
      if (this.#departure !== undefined) this.#departure.hurry(options);
      else this.#departure = new Departure(this, options, () => this.#close());
      return this.#departure.report;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown();
  }

  // What references ask of their worker.

  fetch({ id, owner }: Handle, options: CallOptions | undefined): Promise<unknown> {
    const [kind, what] = ['fetch', 'toHere'] as const;
    return this.#calls.send(owner, { kind, head: [id], body: [], what, order: [id], options });
  }

  callMethod({ id, owner }: Handle, method: string, call: MethodCall): Promise<unknown> {
    const { args: body, options } = call;
    const order = [id];
    const head = [id, method];
    return this.#calls.send(owner, { kind: 'method', head, body, what: method, order, options });
  }

  streamMethod({ id, owner }: Handle, what: string, call: MethodCall): RemoteStream<unknown> {
    const { args: body, options } = call;
    const request = { kind: 'method', head: [id, what], body, what, order: [id], options } as const;
    return this.#calls.stream(owner, request);
  }

  remoteMethod({ id, owner }: Handle, method: string, call: MethodCall): RRef<unknown> {
    const { args: body, options } = call;
    return this.#create(owner, { target: [id, method], body, what: method, options });
  }

  /** The drop goes the way of the calls, to this worker too: what was called before still finds the object. */
  release(handle: Handle): void {
    if (handle.isDisposed) return;
    handle.isDisposed = true;
    const { id, fork, owner } = handle;
    const isHeld = owner.id === this.info.id || this.references.dropCopy(fork);
    if (isHeld) this.endpoint.notify(owner.id, 'drop', [id, fork], [id]);
  }

  #create(owner: WorkerInfo, { target, body, what, options }: Creation): RRef<unknown> {
    const handle = new Handle(this, owner, this.references.newId(), this.references.newForkId());
    const head = [handle.id, handle.fork, ...target];
    const order = [handle.id, String(target[0])];
    this.#calls.send(owner, { kind: 'remote', head, body, what, order, options }).catch((error) => {
      handle.failure = error;
    });
    if (owner.id !== this.info.id) this.references.addCopy(handle.id, handle.fork, owner.id);
    return referenceTo(handle);
  }

  #peerGone(rank: number, isFarewell: boolean): void {
    if (rank === this.info.id || !this.members.markGone(rank, isFarewell)) return;
    this.references.dropHolder(rank);
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
    this.#calls.close();
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
