/** What a handler may know of the call that it handles. */
import { callSlot, currentWorker } from './current.ts';
import type { RunningCall } from './running-call.ts';
import type { Worker } from './worker-api.ts';
import type { WorkerInfo } from './worker-info.ts';

/** The call being handled. */
export interface HandledCall {
  readonly caller: WorkerInfo;
  /** For how long the caller still waits, in ms, from when the request came; Infinity if it has no limit. */
  readonly remainingMs: number;
  /**
   * Aborts when nobody waits for the result any more: the caller cancelled, its deadline passed, or it is gone. Made on first
   * read. `reason` is a GradwireError `cancelled`, `deadline_exceeded` or `unavailable`.
   */
  readonly signal: AbortSignal;
}

/**
 * The call that this asynchronous flow handles; undefined outside of handlers and inside `Worker.run`. Calls made here
 * inherit what is left of its time; they are cancelled with it if they are given its `signal`.
 */
export function currentCall(): HandledCall | undefined {
  const current = callSlot.get();
  if (current?.call === undefined) return undefined;
  const caller = currentWorker<Worker>().getWorkerInfo(current.call.peer);
  return new View(caller, current.call);
}

class View implements HandledCall {
  readonly caller: WorkerInfo;
  readonly #call: RunningCall;

  constructor(caller: WorkerInfo, call: RunningCall) {
    this.caller = caller;
    this.#call = call;
  }

  get remainingMs(): number {
    return this.#call.remainingMs;
  }

  get signal(): AbortSignal {
    return this.#call.signal;
  }
}
