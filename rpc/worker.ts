/** One member of a group: the calls of a user, and what they need. Made by `init`. */
import { GradwireError } from '../errors.ts';
import { outside } from '../tensor/index.ts';
import { Barriers } from './barrier.ts';
import { addWorker, callSlot, removeWorker } from './current.ts';
import { Endpoint } from './endpoint.ts';
import { serve } from './handlers.ts';
import { Members } from './members.ts';
import type { MessageKind } from './message.ts';
import { checkTimeout, type ResolvedOptions } from './options.ts';
import { sharesOf, type WorkerShare } from './plugins.ts';
import { incomingReferences, outgoingReferences } from './reference-extension.ts';
import { References } from './references.ts';
import { type Callable, nameOf } from './registry.ts';
import { Handle, type MethodCall, type ReferenceHost, RRef } from './rref.ts';
import { leave, type ShutdownOptions, type ShutdownReport } from './shutdown.ts';
import type { Connection, Member } from './transport.ts';
import { connectionPair } from './transport-memory.ts';
import type { CallOptions, Here, Rest } from './types.ts';
import type { Extension } from './value-codec.ts';
import type { WorkerCore } from './worker-core.ts';
import { type Peer, WorkerInfo, workerInfoExtension } from './worker-info.ts';

export class Worker implements WorkerCore, ReferenceHost, AsyncDisposable {
  readonly info: WorkerInfo;
  readonly endpoint: Endpoint;
  readonly references: References;
  readonly timeoutMs: number;
  readonly #barriers: Barriers;
  readonly #shares: readonly WorkerShare[];
  /** Who belongs to the group. */
  readonly members: Members;
  readonly #closeNode: () => Promise<void>;
  readonly #barrierCounts = new Map<string, number>();
  #shutdown: Promise<ShutdownReport> | undefined;

  /** @param closeNode ends the carrier, when the worker has shut down */
  constructor(
    options: ResolvedOptions,
    members: readonly Member[],
    closeNode: () => Promise<void>,
  ) {
    this.info = new WorkerInfo(options.name, options.rank);
    this.timeoutMs = options.timeoutMs;
    this.#closeNode = closeNode;
    this.members = new Members(members);
    this.references = new References(options.rank);
    this.#barriers = new Barriers(this.members);
    const interceptors: WorkerShare['interceptor'][] = [];
    this.endpoint = new Endpoint({
      nameOf: (rank) => this.nameOf(rank),
      extensions: this.#extensions(),
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

  /** Takes over a connection to another member. */
  attach(connection: Connection): void {
    this.endpoint.attach(connection.peer.rank, connection);
  }

  nameOf(rank: number): string {
    return this.members.nameOf(rank);
  }

  /** Name and rank of a member, of this worker by default. @throws GradwireError `unknown_worker` */
  getWorkerInfo(peer: Peer = this.info): WorkerInfo {
    return this.members.get(peer);
  }

  /** All members, by rank. */
  getWorkerInfos(): readonly WorkerInfo[] {
    return this.members.all();
  }

  /**
   * Runs a registered function on `to` and resolves with a copy of its result. Arguments are read at once and stay the
   * caller's; tensors of the result belong to the caller's scope, or to the caller where there is none. At most once.
   * PyTorch: `rpc_async`.
   *
   * @throws GradwireError `not_registered`, `unknown_worker`, `unsupported_value`, `unavailable` at once; as rejection
   * `remote_error`, `unknown_function`, `deadline_exceeded`, `unavailable`
   */
  rpcAsync<A extends unknown[], R>(
    to: Peer,
    fn: (...args: A) => R,
    ...[args, options]: Rest<A>
  ): Promise<Here<Awaited<R>>> {
    const name = nameOf(fn);
    return this.#send(this.getWorkerInfo(to), {
      kind: 'call',
      head: [name],
      body: args ?? [],
      what: name,
      options,
    }) as Promise<Here<Awaited<R>>>;
  }

  /** The same as `rpcAsync`, with failures of the arguments as rejections too: blocking is `await`. PyTorch: `rpc_sync`. */
  async rpcSync<A extends unknown[], R>(
    to: Peer,
    fn: (...args: A) => R,
    ...rest: Rest<A>
  ): Promise<Here<Awaited<R>>> {
    return await this.rpcAsync(to, fn, ...rest);
  }

  /**
   * Runs a registered function, or makes an object of a registered class, on `to`, which keeps the result. Returns the
   * reference at once; if the creation fails, every use of it fails with that error. What the object's creation makes is
   * freed with the last reference to it; variables only if a class made them. At most once. PyTorch: `rpc.remote`.
   */
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
    return this.#create(this.getWorkerInfo(to), call);
  }

  /**
   * Resolves when all `names` (default: all workers) have called `barrier` as often as this one with the same names.
   * @throws GradwireError `unavailable` when one of them is gone, `deadline_exceeded`
   */
  async barrier(names?: readonly string[], options?: CallOptions): Promise<void> {
    const infos = names?.map((name) => this.getWorkerInfo(name)) ?? this.getWorkerInfos();
    const ranks = infos.map(({ id }) => id).sort((a, b) => a - b);
    const group = ranks.join(',');
    const count = (this.#barrierCounts.get(group) ?? 0) + 1;
    this.#barrierCounts.set(group, count);
    await this.meet(`${group}#${count}`, ranks, { isTolerant: false, options });
  }

  /** Waits at a meeting point, kept by the lowest of `ranks`. */
  async meet(
    key: string,
    ranks: readonly number[],
    { isTolerant, options }: { isTolerant: boolean; options: CallOptions | undefined },
  ): Promise<void> {
    const leader = this.getWorkerInfo(Math.min(...ranks));
    const head = [key, ranks, isTolerant];
    await this.#send(leader, { kind: 'barrier', head, body: null, what: 'the barrier', options });
  }

  /** Runs `fn` with this worker as the one that the functions of module rpc speak for. */
  run<R>(fn: () => R): R {
    return callSlot.run({ worker: this, caller: undefined }, fn);
  }

  /**
   * Leaves the group: waits until all members that live want to leave and this worker's calls are done, serving the others
   * meanwhile, then ends connections and frees everything. Further calls return the same report.
   */
  shutdown(options: ShutdownOptions = {}): Promise<ShutdownReport> {
    this.#shutdown ??= outside(() => leave(this, options, () => this.#close()));
    return this.#shutdown;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown();
  }

  // What references ask of their worker.

  fetch({ id, owner }: Handle, options: CallOptions | undefined): Promise<unknown> {
    const call = {
      kind: 'fetch',
      head: [id],
      body: [],
      what: 'toHere',
      order: [id],
      options,
    } as const;
    return this.#send(owner, call);
  }

  callMethod(
    { id, owner }: Handle,
    method: string,
    { args, options }: MethodCall,
  ): Promise<unknown> {
    const head = [id, method];
    return this.#send(owner, {
      kind: 'method',
      head,
      body: args,
      what: method,
      order: [id],
      options,
    });
  }

  remoteMethod(
    { id, owner }: Handle,
    method: string,
    { args, options }: MethodCall,
  ): RRef<unknown> {
    return this.#create(owner, { target: [id, method], body: args, what: method, options });
  }

  release(handle: Handle): void {
    if (handle.isDisposed) return;
    handle.isDisposed = true;
    const { id, fork, owner } = handle;
    if (owner.id === this.info.id) this.references.dropFork(id, fork);
    else if (this.references.dropCopy(fork))
      this.endpoint.notify(owner.id, 'drop', [id, fork], [id]);
  }

  #create(
    owner: WorkerInfo,
    call: {
      target: unknown[];
      body: readonly unknown[];
      what: string;
      options: CallOptions | undefined;
    },
  ): RRef<unknown> {
    const { target, body, what, options } = call;
    const handle = new Handle(this, owner, this.references.newId(), this.references.newForkId());
    const head = [handle.id, handle.fork, ...target];
    const order = [handle.id, String(target[0])];
    this.#send(owner, { kind: 'remote', head, body, what, order, options }).catch(
      (error: Error) => {
        handle.failure = error;
      },
    );
    if (owner.id !== this.info.id) this.references.addCopy(handle.id, handle.fork, owner.id);
    return RRef.of(handle);
  }

  #send(
    to: WorkerInfo,
    call: {
      kind: MessageKind;
      head: unknown;
      body: unknown;
      what: string;
      order?: readonly string[];
      options: CallOptions | undefined;
    },
  ): Promise<unknown> {
    if (this.#shutdown !== undefined && call.kind !== 'barrier') {
      throw new GradwireError(
        'shut_down',
        `${this.info.name} has been shut down: ${call.what} was not sent`,
      );
    }
    const { options, ...request } = call;
    const timeoutMs = checkTimeout('timeoutMs', options?.timeoutMs ?? this.timeoutMs);
    return this.endpoint.request({ peer: to.id, timeoutMs, bodyName: 'arguments', ...request });
  }

  #extensions(): {
    outgoing(peer: number, commits: (() => void)[]): readonly Extension[];
    incoming(peer: number): ReadonlyMap<number, Extension>;
  } {
    const forking = {
      host: this,
      infoOf: (rank: number) => this.getWorkerInfo(rank),
      announce: (...[id, fork, owner, holder]: [string, string, number, number]) =>
        this.endpoint.notify(owner, 'fork', [id, fork, holder], [id]),
    };
    const incoming = incomingReferences(forking);
    const byTag = new Map<number, Extension>([
      [workerInfoExtension.tag, workerInfoExtension],
      [incoming.tag, incoming],
    ]);
    return {
      outgoing: (peer, commits) => [
        workerInfoExtension,
        outgoingReferences(forking, peer, commits),
      ],
      incoming: () => byTag,
    };
  }

  #peerGone(rank: number, isFarewell: boolean): void {
    if (rank === this.info.id || !this.members.markGone(rank, isFarewell)) return;
    this.references.dropHolder(rank);
    this.#barriers.checkAll((key) => key.startsWith('shutdown'));
    for (const share of this.#shares) share.peerGone(rank, isFarewell);
  }

  async #close(): Promise<void> {
    removeWorker(this);
    for (const share of this.#shares) share.close();
    await this.endpoint.close();
    this.references.close();
    await this.#closeNode();
  }
}
