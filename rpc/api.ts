/** The calls of a user as functions: they speak for the current worker (`currentWorker`). */
import { currentWorker } from './current.ts';
import type { DebugInfo } from './debug-info.ts';
import type { RpcFuture } from './future.ts';
import type { WaitAllWorkersOptions } from './joint-waits.ts';
import type { RemoteStream } from './remote-stream.ts';
import type { RRef } from './rref.ts';
import type { ShutdownOptions, ShutdownReport } from './shutdown.ts';
import type { OneAnswer, Streamed } from './streamed.ts';
import type { CallOptions, Here, Invocable, Rest, StreamRest } from './types.ts';
import type { Worker } from './worker-api.ts';
import type { Peer, WorkerInfo } from './worker-info.ts';

/** See `Worker.rpcSync`. */
export function rpcSync<A extends unknown[], R>(
  to: Peer,
  callable: Invocable<A, R>,
  ...rest: Rest<A>
): Promise<Here<Awaited<R>>> {
  try {
    return currentWorker<Worker>().rpcSync(to, callable, ...rest);
  } catch (error) {
    return Promise.reject(error);
  }
}

/** See `Worker.rpcAsync`. */
export function rpcAsync<A extends unknown[], R>(
  to: Peer,
  callable: Invocable<A, R>,
  ...rest: Rest<A>
): RpcFuture<Here<Awaited<R>>> {
  return currentWorker<Worker>().rpcAsync(to, callable, ...rest);
}

/** See `Worker.rpcStream`. */
export function rpcStream<A extends unknown[], T>(
  to: Peer,
  fn: (...args: A) => Streamed<T> | PromiseLike<Streamed<T>>,
  ...rest: StreamRest<A>
): RemoteStream<Here<T>> {
  return currentWorker<Worker>().rpcStream(to, fn, ...rest);
}

/** See `Worker.writable`. */
export async function writable(to: Peer): Promise<void> {
  await currentWorker<Worker>().writable(to);
}

/** See `Worker.remote`. */
export function remote<A extends unknown[], T>(
  to: Peer,
  cls: abstract new (...args: A) => T,
  ...rest: Rest<A>
): RRef<T>;
export function remote<A extends unknown[], R>(
  to: Peer,
  fn: ((...args: A) => R) & OneAnswer<R>,
  ...rest: Rest<A>
): RRef<Awaited<R>>;
export function remote(
  to: Peer,
  // biome-ignore lint/suspicious/noExplicitAny: the overloads say what may be given
  callable: any,
  // biome-ignore lint/suspicious/noExplicitAny: as above
  ...rest: any
  // biome-ignore lint/suspicious/noExplicitAny: as above
): RRef<any> {
  return currentWorker<Worker>().remote(to, callable, ...rest);
}

/** See `Worker.getWorkerInfo`. */
export function getWorkerInfo(peer?: Peer): WorkerInfo {
  return currentWorker<Worker>().getWorkerInfo(peer);
}

/** See `Worker.barrier`. */
export function barrier(names?: readonly string[], options?: CallOptions): Promise<void> {
  return currentWorker<Worker>().barrier(names, options);
}

/** See `Worker.allGather`. */
export async function allGather<T>(
  value: T,
  names?: readonly string[],
  options?: CallOptions,
): Promise<Map<string, Here<T>>> {
  return await currentWorker<Worker>().allGather(value, names, options);
}

/** See `Worker.waitAllWorkers`. */
export async function waitAllWorkers(options?: WaitAllWorkersOptions): Promise<void> {
  await currentWorker<Worker>().waitAllWorkers(options);
}

/** See `Worker.getDebugInfo`. */
export function getDebugInfo(): DebugInfo {
  return currentWorker<Worker>().getDebugInfo();
}

/** See `Worker.timeoutMs`. PyTorch: `get_rpc_timeout`. */
export function getRpcTimeoutMs(): number {
  return currentWorker<Worker>().timeoutMs;
}

/** See `Worker.setTimeoutMs`. PyTorch: `_set_rpc_timeout`. */
export function setRpcTimeoutMs(timeoutMs: number): void {
  currentWorker<Worker>().setTimeoutMs(timeoutMs);
}

/** See `Worker.shutdown`. */
export function shutdown(options?: ShutdownOptions): Promise<ShutdownReport> {
  return currentWorker<Worker>().shutdown(options);
}
