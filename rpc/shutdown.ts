/** How a worker leaves its group: in agreement with the others, and within a bound whatever they do. */
import type { Endpoint } from './endpoint.ts';
import type { Members } from './members.ts';
import type { CallOptions } from './types.ts';

export interface ShutdownOptions {
  /** Wait for the other workers and for this worker's calls. Default: true. */
  readonly graceful?: boolean;
  /**
   * The longest that all of it may take, in ms. Default: as long as the other members live and work, as in PyTorch, and 60 s
   * for each wait for calls.
   */
  readonly timeoutMs?: number;
}

export interface ShutdownReport {
  /** Whether all members agreed to leave and every call was done. */
  readonly drained: boolean;
  /** Calls, own and others', that were cut off. */
  readonly cancelled: number;
  /** Names of members that had died. */
  readonly dead: readonly string[];
}

/** What leaving needs of a worker. */
export interface Leaver {
  readonly endpoint: Endpoint;
  readonly members: Members;
  meet(
    key: string,
    ranks: readonly number[],
    how: { isTolerant: boolean; options: CallOptions | undefined },
  ): Promise<void>;
}

/** How long calls that are under way may hold up a shutdown without a limit of its own. */
const DRAIN_TIMEOUT_MS = 60_000;

/** @param close ends connections and frees everything */
export async function leave(
  worker: Leaver,
  { graceful = true, timeoutMs = Number.POSITIVE_INFINITY }: ShutdownOptions,
  close: () => Promise<void>,
): Promise<ShutdownReport> {
  const deadline = performance.now() + timeoutMs;
  const left = (): number => Math.max(1, deadline - performance.now());
  let drained = false;
  if (graceful) {
    drained = await worker.endpoint.idle(Math.min(left(), DRAIN_TIMEOUT_MS));
    drained = (await agree(worker, left)) && drained;
    drained = (await worker.endpoint.idle(Math.min(left(), DRAIN_TIMEOUT_MS))) && drained;
  }
  const cancelled = worker.endpoint.waitingCount + worker.endpoint.runningCount;
  await close();
  const dead = worker.members.dead();
  return { drained: drained && dead.length === 0, cancelled, dead };
}

/** Meets all members that live; should the worker that keeps the meeting die, the next takes its place. */
async function agree(worker: Leaver, left: () => number): Promise<boolean> {
  for (;;) {
    const ranks = worker.members.live();
    const leader = Math.min(...ranks);
    try {
      const options = { timeoutMs: left() };
      await worker.meet(`shutdown of ${leader}`, ranks, { isTolerant: true, options });
      return true;
    } catch {
      if (worker.members.live().includes(leader)) return false;
    }
  }
}
