/** One member of a group: the calls of a user (described in worker-api.ts), and what they need. */
import type { Observable } from 'rxjs';
import { outside } from '../tensor/index.ts';
import type { Meeting } from './agreement.ts';
import { AsyncCalls } from './async-execution.ts';
import { Barriers } from './barrier.ts';
import { BarrierCalls } from './barrier-calls.ts';
import { Calls } from './calls.ts';
import { addWorker, callSlot, removeWorker } from './current.ts';
import { type DebugInfo, debugInfo } from './debug-info.ts';
import { Endpoint } from './endpoint.ts';
import { Exit } from './exit.ts';
import type { RpcFuture } from './future.ts';
import { serve } from './handlers.ts';
import { JointWaits, type WaitAllWorkersOptions } from './joint-waits.ts';
import type { Liveness } from './liveness.ts';
import { attachLoopback } from './loopback.ts';
import { MemberEvents } from './member-events.ts';
import { Members } from './members.ts';
import type { Membership } from './membership.ts';
import { isInClear, type ResolvedOptions } from './options.ts';
import type { PeerLimits } from './peer-limits.ts';
import { PeerLoss } from './peer-loss.ts';
import { sharesOf, type WorkerShare } from './plugins.ts';
import { quietly } from './quietly.ts';
import { ReferenceCalls } from './reference-calls.ts';
import { peerExtensions } from './reference-extension.ts';
import { firstIdOf } from './reference-ids.ts';
import { makeReferences } from './reference-link.ts';
import type { References } from './references.ts';
import { type Callable, nameOf } from './registry.ts';
import type { RemoteStream } from './remote-stream.ts';
import type { Seat } from './roster.ts';
import type { RRef } from './rref.ts';
import {
  checkLeaks,
  checkShutdown,
  type ShutdownOptions,
  type ShutdownReport,
} from './shutdown.ts';
import type { OneAnswer, Streamed } from './streamed.ts';
import { type Connection, DYNAMIC, type Member } from './transport.ts';
import type { CallOptions, Here, Invocable, Rest, StreamRest } from './types.ts';
import { collect } from './wait-all.ts';
import type { MemberEvent, Worker } from './worker-api.ts';
import type { WorkerCore } from './worker-core.ts';
import type { Peer, WorkerInfo } from './worker-info.ts';

/** What a worker needs of that which carries it. */
export interface CarrierEnd {
  close(): Promise<void>;
  readonly liveness?: Liveness | undefined;
  readonly firstId?: number;
}

export class WorkerNode implements Worker, WorkerCore {
  readonly info: WorkerInfo;
  readonly endpoint: Endpoint;
  readonly references: References;
  readonly asyncCalls: AsyncCalls = new AsyncCalls();
  readonly referenceCalls: ReferenceCalls;
  readonly #calls: Calls;
  readonly barriers: Barriers;
  readonly #shares: readonly WorkerShare[];
  /** Who belongs to the group. */
  readonly members: Members;
  readonly #closeNode: () => Promise<void>;
  /** Undefined: nobody is watched. */
  readonly liveness: Liveness | undefined;
  readonly #barrierCalls: BarrierCalls = new BarrierCalls(this, (to, call) =>
    this.#calls.send(to, call),
  );
  readonly #events: MemberEvents = new MemberEvents();
  readonly #waits: JointWaits = new JointWaits(this);
  readonly #exit: Exit = new Exit(this, () => this.#close());
  readonly firstId: number;
  readonly limits: PeerLimits;
  readonly isInClear: boolean;
  /** This worker's part in a dynamic group. */
  membership: Membership | undefined;
  #isClosed = false;

  /** @param carrier `close` ends it, when the worker has shut down; for `firstId` see `WorkerCore` */
  constructor(options: ResolvedOptions, members: readonly Member[], carrier: CarrierEnd) {
    const { close, liveness, firstId = 0 } = carrier;
    this.firstId = firstId;
    this.limits = options;
    this.isInClear = isInClear(options);
    this.liveness = liveness;
    liveness?.tell({
      suspected: (rank) => this.#tell('suspected', rank),
      alive: (rank) => this.#tell('alive', rank),
      lost: (...lost) => this.endpoint.cut(...lost),
      explained: (...lost) => this.endpoint.cut(...lost),
    });
    this.members = new Members(members, options.worldSize === DYNAMIC);
    this.info = this.members.get(options.rank);
    this.#closeNode = close;
    this.references = makeReferences(this, options);
    this.#calls = new Calls(this, options.timeoutMs);
    this.referenceCalls = new ReferenceCalls(this, this.#calls);
    this.barriers = new Barriers(this.members);
    const interceptors: WorkerShare['interceptor'][] = [];
    this.endpoint = new Endpoint({
      nameOf: (rank) => this.nameOf(rank),
      extensions: peerExtensions({
        host: this.referenceCalls,
        infoOf: (rank) => this.members.find(rank),
      }),
      interceptors,
      maxMessageBytes: options.maxMessageBytes,
      limits: options,
      faults: options.chaos?.for(options),
      onPeerGone: (...gone) => this.#peerGone(...gone),
      enter: (caller, call, work) =>
        callSlot.run({ worker: this, caller, call, within: call }, work),
    });
    serve(this);
    this.#shares = sharesOf(this);
    for (const { interceptor } of this.#shares) interceptors.push(interceptor);
    attachLoopback(this.endpoint, options.rank);
    addWorker(this);
  }

  /** Takes over a connection to another member, who is watched from now on; ends it if this worker has shut down meanwhile. */
  attach(connection: Connection, member?: Member): void {
    if (this.#isClosed) connection.close();
    else {
      this.endpoint.attach(connection.peer.rank, connection);
      if (member !== undefined) this.liveness?.watch(member);
      this.references.peerHere(connection.peer.rank);
    }
  }

  /** A member has come to a dynamic group. @param isNew after this worker */
  welcome(member: Seat, isNew: boolean): void {
    this.references.peerHere(member.rank, firstIdOf(member.incarnation));
    const worker = this.members.add(member);
    if (isNew) this.#events.tell({ type: 'joined', worker });
  }

  nameOf(rank: number): string {
    return this.members.nameOf(rank);
  }

  get timeoutMs(): number {
    return this.#calls.timeoutMs;
  }

  setTimeoutMs(timeoutMs: number): void {
    this.#calls.timeoutMs = timeoutMs;
  }

  getWorkerInfo(peer: Peer = this.info): WorkerInfo {
    return this.members.get(peer);
  }

  getWorkerInfos(): readonly WorkerInfo[] {
    return this.members.all();
  }

  events(): Observable<MemberEvent> {
    return this.#events.all;
  }

  rpcAsync<A extends unknown[], R>(
    to: Peer,
    callable: Invocable<A, R>,
    ...rest: Rest<A>
  ): RpcFuture<Here<Awaited<R>>> {
    return collect(this.#calls.call(this.members.get(to), callable, ...rest));
  }

  async rpcSync<A extends unknown[], R>(
    to: Peer,
    callable: Invocable<A, R>,
    ...rest: Rest<A>
  ): Promise<Here<Awaited<R>>> {
    return await this.#calls.call(this.members.get(to), callable, ...rest);
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
    fn: ((...args: A) => R) & OneAnswer<R>,
    ...rest: Rest<A>
  ): RRef<Awaited<R>>;
  remote(to: Peer, callable: Callable, args: unknown[] = [], options?: CallOptions): RRef<unknown> {
    const name = nameOf(callable);
    const call = { target: [name], body: args, what: name, options };
    return this.referenceCalls.create(this.members.get(to), call);
  }

  async barrier(names?: readonly string[], options?: CallOptions): Promise<void> {
    await this.#barrierCalls.pass(names, options);
  }

  async allGather<T>(
    value: T,
    names?: readonly string[],
    options?: CallOptions,
  ): Promise<Map<string, Here<T>>> {
    return (await this.#barrierCalls.gather(value, names, options)) as Map<string, Here<T>>;
  }

  async waitAllWorkers(options: WaitAllWorkersOptions = {}): Promise<void> {
    await this.#waits.wait(options);
  }

  getDebugInfo(): DebugInfo {
    return debugInfo(this, this.#shares);
  }

  get meetings(): number {
    return this.#barrierCalls.waiting + this.#waits.waiting;
  }

  meet(meeting: Meeting): Promise<boolean> {
    return this.#barrierCalls.meet(meeting);
  }

  run<R>(fn: () => R): R {
    return callSlot.run({ worker: this, caller: undefined, within: callSlot.get()?.within }, fn);
  }

  async shutdown(options: ShutdownOptions = {}): Promise<ShutdownReport> {
    checkShutdown(options);
    const report = await outside(() => this.#exit.leave(options, this.membership));
    checkLeaks(report, options);
    return report;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown();
  }

  #peerGone(rank: number, isFarewell: boolean, reason: Error | undefined): void {
    if (rank === this.info.id) return;
    this.liveness?.unwatch(rank, !isFarewell && !(reason instanceof PeerLoss));
    // Also one that is no member, and before its rank can be given again.
    if (!this.#isClosed) this.references.peerGone(rank, reason);
    this.membership?.peerGone(rank, isFarewell);
    const wasHere = this.members.markGone(rank, isFarewell);
    this.barriers.gone(rank);
    if (!wasHere) return;
    for (const share of this.#shares) {
      quietly('a share of a worker', () => share.peerGone(rank, isFarewell));
    }
    const isFenced = reason instanceof PeerLoss && reason.code === 'fenced';
    this.#tell(isFenced ? 'fenced' : this.members.isDead(rank) ? 'dead' : 'left', rank);
  }

  #tell(type: MemberEvent['type'], rank: number): void {
    const worker = this.members.find(rank);
    if (worker !== undefined) this.#events.tell({ type, worker });
  }

  async #close(): Promise<void> {
    this.#isClosed = true;
    this.#calls.close();
    removeWorker(this);
    this.membership?.close();
    this.#events.complete();
    for (const share of this.#shares) quietly('a share of a worker', () => share.close());
    try {
      this.barriers.close();
      await this.endpoint.close();
      this.references.close();
    } finally {
      this.liveness?.close();
      await this.#closeNode();
    }
  }
}
