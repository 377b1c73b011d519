/** A worker as its user sees it. */
import type { Observable } from 'rxjs';
import type { DebugInfo } from './debug-info.ts';
import type { RpcFuture } from './future.ts';
import type { WaitAllWorkersOptions } from './joint-waits.ts';
import type { RemoteStream } from './remote-stream.ts';
import type { RRef } from './rref.ts';
import type { ShutdownOptions, ShutdownReport } from './shutdown.ts';
import type { OneAnswer, Streamed } from './streamed.ts';
import type { CallOptions, Here, Invocable, Rest, StreamRest } from './types.ts';
import type { Peer, WorkerInfo } from './worker-info.ts';

/**
 * What has become of a member. `joined`: it has come to a dynamic group. `suspected`: it has given no sign of life for two
 * thirds of `deadAfterMs`; `alive`: it has given one again. `left`: by `shutdown`. `dead`: its connection broke without a word, or
 * it gave no sign of life for `deadAfterMs`. `fenced`: it counts this worker as dead, and takes nothing from it any more. After
 * the last three the member is gone for good. Further types may come: let what you do not know pass.
 */
export interface MemberEvent {
  readonly type: 'joined' | 'suspected' | 'alive' | 'left' | 'dead' | 'fenced';
  readonly worker: WorkerInfo;
}

/**
 * One member of a group, made by `init`. Several can live in one process; the functions of module rpc speak for the current
 * one. `await using` shuts it down (in scripts that are not compiled: Node 24 and later).
 */
export interface Worker extends AsyncDisposable {
  readonly info: WorkerInfo;
  /** Time limit of calls that set none, in ms. PyTorch: `get_rpc_timeout`. */
  readonly timeoutMs: number;

  /**
   * Sets the time limit of calls that set none, in ms, for those made from now on; Infinity sets no limit. PyTorch:
   * `_set_rpc_timeout`, where 0 is no limit.
   *
   * @throws GradwireError `invalid_argument`
   */
  setTimeoutMs(timeoutMs: number): void;

  /** Name and rank of a member, of this worker by default. @throws GradwireError `unknown_worker` */
  getWorkerInfo(peer?: Peer): WorkerInfo;

  /** By rank: all members of a static group; of a dynamic one those that are there. */
  getWorkerInfos(): readonly WorkerInfo[];

  /**
   * Members that come and go, as soon as this worker knows it. A subscriber first gets the last event of each rank (of the
   * last 1,000 to which anything happened); it completes when this worker has shut down. Those that were there before this
   * worker are no events. Subscribers run outside of any call and context.
   */
  events(): Observable<MemberEvent>;

  /**
   * Runs a registered function, or static method of a registered class, on `to` and answers with a copy of its result. Of
   * a class the result is a new object: that must be one that can be sent; `remote` keeps it there instead. Methods of
   * objects are called on a reference (`RRef.rpcAsync`). Arguments are read at once and stay the caller's; tensors of the
   * result belong to the caller's scope, or to the caller where there is none. At most once. PyTorch: `rpc_async`.
   *
   * Values are a closed set: primitives, dates, binary data, arrays, Maps, Sets and records of values, tensors, references, errors
   * and instances of `registerValue`'s classes. What is not, such as a cycle, an accessor or a field with a symbol as its key,
   * is refused with its path; of arrays the elements travel alone. An object that stands in two places arrives as two copies, a
   * tensor as one.
   *
   * Named arguments are one record, which is as well typed as a list: `worker.rpcAsync('b', scale, [{ x, factor: 2 }])`.
   *
   * @throws GradwireError `not_registered`, `unknown_worker`, `unsupported_value`, `invalid_argument`, `unavailable` at
   * once; as rejection `remote_error`, `unknown_function`, `deadline_exceeded`, `unavailable`, `cancelled`, `overloaded`
   */
  rpcAsync<A extends unknown[], R>(
    to: Peer,
    callable: Invocable<A, R>,
    ...rest: Rest<A>
  ): RpcFuture<Here<Awaited<R>>>;

  /**
   * The same as `rpcAsync`, with failures of the arguments as rejections too, and outside of `waitAll`: blocking is `await`.
   * PyTorch: `rpc_sync`.
   */
  rpcSync<A extends unknown[], R>(
    to: Peer,
    callable: Invocable<A, R>,
    ...rest: Rest<A>
  ): Promise<Here<Awaited<R>>>;

  /**
   * Calls a registered function that returns an Observable or an async iterable (an async generator, say) and gives its items
   * as they come: by `subscribe`, or by `for await`, which also holds the function back. Cold: each subscription is a call, and
   * takes its arguments then. At most once. Tensors of an item belong to the subscriber's scope, or to the subscriber where
   * there is none; streams are not recorded, they carry no gradient. The function gives its items away: their tensors are freed
   * once sent, unless they are kept or stored in its object; what else it makes, at the end of the stream. No PyTorch name.
   *
   * @throws GradwireError `not_registered`, `unknown_worker`, `invalid_argument` at once; as error of the stream those of
   * `rpcAsync`, `unsupported_value` if the function streams nothing, `overloaded` if an Observable is 1,000 items ahead
   */
  rpcStream<A extends unknown[], T>(
    to: Peer,
    fn: (...args: A) => Streamed<T> | PromiseLike<Streamed<T>>,
    ...rest: StreamRest<A>
  ): RemoteStream<Here<T>>;

  /**
   * Resolves when a call to `to` would be sent at once, rather than be held or refused as `overloaded`.
   *
   * @throws GradwireError (as rejection) `unknown_worker`, `unavailable` when it is gone
   */
  writable(to: Peer): Promise<void>;

  /**
   * Runs a registered function, or makes an object of a registered class, on `to`, which keeps the result. Returns the
   * reference at once; if the creation fails, every use of it fails with that error. What the creation makes is freed with the
   * last reference to its result, also tensors that a global variable holds. Of variables those are that a class makes, or that a
   * function makes and returns, in arrays, Maps and records too; those of an instance that a function returns stay, as
   * does what is marked by `tf.keep`. At most once. PyTorch: `rpc.remote`.
   *
   * @throws GradwireError as `rpcAsync` at once
   */
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

  /**
   * Resolves when all `names` (default: all workers), of which this is one, have called `barrier` as often as this one
   * with the same names. In a dynamic group the default is those that this worker sees at the time of the call: who sees
   * others waits for other workers, so give names there.
   *
   * @throws GradwireError (as rejection) `unavailable` when one of them is gone, `deadline_exceeded`,
   * `invalid_argument` if this worker is not among them
   */
  barrier(names?: readonly string[], options?: CallOptions): Promise<void>;

  /**
   * Brings a value to all `names` (default: all workers), of which this is one, and resolves with what each of them has
   * brought in its call of `allGather`, by name in order of rank. Values are read at once; tensors of the result belong to
   * the caller's scope, or to the caller where there is none. PyTorch: `_all_gather`.
   *
   * @throws GradwireError (as rejection) `deadline_exceeded`, which at the member of the lowest rank, where the values meet,
   * names those that did not come; `unavailable` when one of them is gone, `unsupported_value`, `invalid_argument` if this
   * worker is not among them
   */
  allGather<T>(
    value: T,
    names?: readonly string[],
    options?: CallOptions,
  ): Promise<Map<string, Here<T>>>;

  /**
   * Resolves when all members of a static group have called it as often as this one and no call is under way among them;
   * nobody leaves, and work may go on afterwards, until the next. Calls of others are served meanwhile, in however many
   * phases they come. A member whose connection is over is not waited for; one that shuts down instead is, until it is gone.
   * After a `deadline_exceeded` the next call is for the same meeting. A dynamic group has no "all": name those that
   * meet by `barrier`. PyTorch: `_wait_all_workers`.
   *
   * @throws GradwireError (as rejection) `deadline_exceeded`; `shut_down` when this worker leaves meanwhile;
   * `invalid_argument` in a dynamic group, and inside a handler, whose end it would wait for
   */
  waitAllWorkers(options?: WaitAllWorkersOptions): Promise<void>;

  /**
   * Counters of what this worker is doing, read as they are: `agent.…` of calls, `rref.…` of references, and those of the
   * layers above, such as `autograd.…`; `agent.insecure` is 1 if messages leave this host in clear, by `insecure: true`. For
   * people and tests: names may come and go. PyTorch: `_get_debug_info`.
   */
  getDebugInfo(): DebugInfo;

  /**
   * Runs `fn`, and all that it starts, with this worker as the one that the functions of module rpc speak for. Calls made in it
   * inherit no time limit.
   */
  run<R>(fn: () => R): R;

  /**
   * Leaves the group, then ends connections and frees everything. A static group is left together: waits until all members
   * that live want to leave and all calls are done, serving the others meanwhile. A dynamic one is left at any time: waits
   * for this worker's own calls and for those that are under way here, and takes no new ones. Rank 0 of a dynamic group
   * leaves last: as long as others are there it waits for them for `timeoutMs` if that is given, and then, or at once,
   * rejects and goes on; with `graceful: false` it leaves nevertheless, the others keep each other, and nobody can join.
   *
   * Further calls give the same report; stricter limits of theirs take effect: `shutdown({ graceful: false })` cuts short
   * one that waits. PyTorch: `rpc.shutdown`.
   *
   * @throws GradwireError (as rejection) `invalid_argument`, `group_in_use`; `rref_leaked` if asked for
   */
  shutdown(options?: ShutdownOptions): Promise<ShutdownReport>;
}
