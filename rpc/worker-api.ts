/** A worker as its user sees it. */
import type { Observable } from 'rxjs';
import type { RRef } from './rref.ts';
import type { ShutdownOptions, ShutdownReport } from './shutdown.ts';
import type { CallOptions, Here, Rest } from './types.ts';
import type { Peer, WorkerInfo } from './worker-info.ts';

/** A member is gone: it left by `shutdown`, or its connection broke without a word. */
export interface MemberEvent {
  readonly type: 'left' | 'dead';
  readonly worker: WorkerInfo;
}

/**
 * One member of a group, made by `init`. Several can live in one process; the functions of module rpc speak for the current
 * one. `await using` shuts it down (in scripts that are not compiled: Node 24 and later).
 */
export interface Worker extends AsyncDisposable {
  readonly info: WorkerInfo;
  /** Time limit of calls that set none, in ms. */
  readonly timeoutMs: number;

  /** Name and rank of a member, of this worker by default. @throws GradwireError `unknown_worker` */
  getWorkerInfo(peer?: Peer): WorkerInfo;

  /** All members, by rank. */
  getWorkerInfos(): readonly WorkerInfo[];

  /**
   * Members that are gone, as soon as this worker knows it. A subscriber first gets what has happened so far; it completes
   * when this worker has shut down. Subscribers run outside of any call and context.
   */
  events(): Observable<MemberEvent>;

  /**
   * Runs a registered function on `to` and resolves with a copy of its result. Arguments are read at once and stay the
   * caller's; tensors of the result belong to the caller's scope, or to the caller where there is none. At most once.
   * PyTorch: `rpc_async`.
   *
   * @throws GradwireError `not_registered`, `unknown_worker`, `unsupported_value`, `invalid_argument`, `unavailable` at
   * once; as rejection `remote_error`, `unknown_function`, `deadline_exceeded`, `unavailable`
   */
  rpcAsync<A extends unknown[], R>(
    to: Peer,
    fn: (...args: A) => R,
    ...rest: Rest<A>
  ): Promise<Here<Awaited<R>>>;

  /** The same as `rpcAsync`, with failures of the arguments as rejections too: blocking is `await`. PyTorch: `rpc_sync`. */
  rpcSync<A extends unknown[], R>(
    to: Peer,
    fn: (...args: A) => R,
    ...rest: Rest<A>
  ): Promise<Here<Awaited<R>>>;

  /**
   * Runs a registered function, or makes an object of a registered class, on `to`, which keeps the result. Returns the
   * reference at once; if the creation fails, every use of it fails with that error. What the object's creation makes is
   * freed with the last reference to it; variables only if a class made them. At most once. PyTorch: `rpc.remote`.
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
    fn: (...args: A) => R,
    ...rest: Rest<A>
  ): RRef<Awaited<R>>;

  /**
   * Resolves when all `names` (default: all workers), of which this is one, have called `barrier` as often as this one
   * with the same names.
   *
   * @throws GradwireError (as rejection) `unavailable` when one of them is gone, `deadline_exceeded`,
   * `invalid_argument` if this worker is not among them
   */
  barrier(names?: readonly string[], options?: CallOptions): Promise<void>;

  /** Runs `fn`, and all that it starts, with this worker as the one that the functions of module rpc speak for. */
  run<R>(fn: () => R): R;

  /**
   * Leaves the group: waits until all members that live want to leave and all calls are done, serving the others meanwhile,
   * then ends connections and frees everything. Further calls give the same report; stricter limits of theirs take effect:
   * `shutdown({ graceful: false })` cuts short one that waits. PyTorch: `rpc.shutdown`.
   *
   * @throws GradwireError (as rejection) `invalid_argument`; `rref_leaked` if asked for
   */
  shutdown(options?: ShutdownOptions): Promise<ShutdownReport>;
}
