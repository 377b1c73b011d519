/** Which worker the functions of module rpc speak for. */
import { GradwireError } from '../errors.ts';
import { AsyncSlot } from '../tensor/index.ts';
import type { RunningCall } from './running-call.ts';
import type { WorkerInfo } from './worker-info.ts';

/** A worker of this process. Only class Worker is ever added; this file need not know it. */
export interface LocalWorker {
  readonly info: WorkerInfo;
}

/** The call that is being handled in this asynchronous flow. */
export interface CurrentCall {
  readonly worker: LocalWorker;
  /** Rank of the caller; undefined where a worker was chosen by `Worker.run`. */
  readonly caller: number | undefined;
  /** The request, if it is one, whose time limit further calls inherit. */
  readonly call?: RunningCall | undefined;
  /** The request in whose handling this runs, also where a worker was chosen by `Worker.run`. */
  readonly within?: RunningCall | undefined;
}

export const callSlot: AsyncSlot<CurrentCall> = new AsyncSlot<CurrentCall>();

const workers = new Set<LocalWorker>();

export function addWorker(worker: LocalWorker): void {
  workers.add(worker);
}

export function removeWorker(worker: LocalWorker): void {
  workers.delete(worker);
}

/**
 * The worker that handles the current call, or that `Worker.run` chose, else the only one of the process.
 * @throws GradwireError `not_initialized`, `ambiguous_worker`
 */
export function currentWorker<W extends LocalWorker>(): W {
  const current = callSlot.get()?.worker;
  if (current !== undefined) return current as W;
  const [only, ...others] = workers;
  if (only === undefined) {
    throw new GradwireError('not_initialized', 'no worker in this process: call rpc.init first');
  }
  if (others.length > 0) {
    const names = [...workers].map(({ info }) => info.name).join(', ');
    throw new GradwireError(
      'ambiguous_worker',
      `this process has several workers (${names}): use the methods of the Worker, or worker.run(fn)`,
    );
  }
  return only as W;
}

/** The request in whose handling this runs, until it is answered. */
export function handledCall(): RunningCall | undefined {
  const within = callSlot.get()?.within;
  return within?.isOver === false ? within : undefined;
}
