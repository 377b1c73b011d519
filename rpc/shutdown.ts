/** How a worker leaves its group: in agreement with the others, and within a bound whatever they do. */
import type { Endpoint } from './endpoint.ts';
import type { Members } from './members.ts';
import type { CallOptions } from './types.ts';

export interface ShutdownOptions {
  /** Wait for the other workers and for this worker's calls. Default: true. */
  readonly graceful?: boolean;
  /** The longest that all of it may take, in ms, whatever the others do. Default: Infinity, as in PyTorch. */
  readonly timeoutMs?: number;
  /**
   * How long to wait for the others while no request comes or goes, in ms. It bounds a shutdown that has no
   * `timeoutMs`: a parameter server shuts down at once, serves for hours, and leaves when nobody has called for so long.
   * Default: 600,000.
   */
  readonly quietMs?: number;
}

export interface ShutdownReport {
  /** Whether all members agreed to leave and every call was done. */
  readonly drained: boolean;
  /** Calls, own and others', that were cut off. */
  readonly cancelled: number;
  /** Names of members that had died. */
  readonly dead: readonly string[];
}

/** A meeting point of some workers. */
export interface Meeting {
  readonly key: string;
  readonly ranks: readonly number[];
  /** Those that are gone are not waited for. */
  readonly isTolerant: boolean;
  readonly vote: boolean;
  readonly options: CallOptions | undefined;
}

/** What leaving needs of a worker. */
export interface Leaver {
  readonly endpoint: Endpoint;
  readonly members: Members;
  /** Resolves when all have come, with whether all votes were true. */
  meet(meeting: Meeting): Promise<boolean>;
}

/** @param close ends connections and frees everything */
export async function leave(
  worker: Leaver,
  { graceful = true, timeoutMs = Number.POSITIVE_INFINITY, quietMs = 600_000 }: ShutdownOptions,
  close: () => Promise<void>,
): Promise<ShutdownReport> {
  const deadline = performance.now() + timeoutMs;
  const left = (): number => Math.max(1, deadline - performance.now());
  const silence = new Silence(worker.endpoint, quietMs);
  const hasAgreed = graceful && (await Promise.race([agree(worker, left), silence.came]));
  silence.close();
  const cancelled = worker.endpoint.waitingCount + worker.endpoint.runningCount;
  await close();
  const dead = worker.members.dead();
  return { drained: hasAgreed && cancelled === 0 && dead.length === 0, cancelled, dead };
}

/** Resolves `came` with false when no request went in or out for `quietMs` to twice that. */
class Silence {
  readonly came: Promise<false>;
  #timer: NodeJS.Timeout | undefined;

  constructor(endpoint: Endpoint, quietMs: number) {
    this.came = new Promise((resolve) => {
      const listen = (): void => {
        const { activity } = endpoint;
        const delayMs = Math.min(quietMs, 2 ** 31 - 1);
        this.#timer = setTimeout(
          () => (endpoint.activity === activity ? resolve(false) : listen()),
          delayMs,
        );
      };
      listen();
    });
  }

  close(): void {
    clearTimeout(this.#timer);
  }
}

/**
 * Leaves when nobody has work any more. That one worker is idle does not tell: a call may come that makes it call others.
 * So all meet when idle, again and again, until nobody has sent or received anything since the meeting before. Should
 * the worker that keeps the meetings go, the next takes its place and the count begins anew.
 */
async function agree(worker: Leaver, left: () => number): Promise<boolean> {
  const { endpoint, members } = worker;
  let leader = -1;
  let round = 0;
  let before = -1;
  for (;;) {
    if (!(await endpoint.idle(left()))) return false;
    const ranks = members.live();
    const lowest = Math.min(...ranks);
    if (lowest !== leader) [leader, round, before] = [lowest, 0, -1];
    const { activity } = endpoint;
    const key = `shutdown ${round} of ${leader}`;
    const options = { timeoutMs: left() };
    try {
      if (await worker.meet({ key, ranks, isTolerant: true, vote: activity === before, options })) {
        return true;
      }
    } catch {
      if (members.live().includes(leader)) return false;
    }
    before = activity;
    round++;
  }
}
