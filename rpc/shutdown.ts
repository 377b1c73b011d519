/** How a worker leaves its group: in agreement with the others, and within a bound whatever they do. */
import { setTimeout as delay } from 'node:timers/promises';
import { GradwireError } from '../errors.ts';
import type { Endpoint } from './endpoint.ts';
import type { Members } from './members.ts';
import { checkTimeout } from './options.ts';
import type { References } from './references.ts';
import type { CallOptions } from './types.ts';

export interface ShutdownOptions {
  /** Wait for this worker's calls and, in a static group, for the other workers. Default: true. */
  readonly graceful?: boolean;
  /** The longest that all of it may take, in ms, whatever the others do. Default: Infinity, as in PyTorch. */
  readonly timeoutMs?: number;
  /**
   * How long to wait for the others while no request is under way, in ms, since the last one began or ended. It bounds
   * a shutdown that has no `timeoutMs`: a parameter server shuts down at once, serves for hours, and leaves when nobody
   * has called for so long. A request is under way until its caller waits no longer. Default: 600,000.
   */
  readonly quietMs?: number;
  /**
   * Whether references that nobody let go of are no fault. If not, `shutdown` does all it does and then rejects with
   * `rref_leaked`. Default: true, since garbage is collected when it suits. PyTorch: `_ignore_rref_leak`.
   */
  readonly ignoreRRefLeak?: boolean;
}

export interface ShutdownReport {
  /** Whether every call was done and, in a static group, all members agreed to leave. */
  readonly drained: boolean;
  /** Calls, own and others', that were cut off. */
  readonly cancelled: number;
  /** Names of members that had died. */
  readonly dead: readonly string[];
  /** References of this worker that nobody let go of. */
  readonly leaked: readonly string[];
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
  readonly references: References;
  /** Resolves when all have come, with whether all votes were true. */
  meet(meeting: Meeting): Promise<boolean>;
}

/** @throws GradwireError `invalid_argument` */
export function checkShutdown(options: ShutdownOptions): void {
  const { timeoutMs, quietMs } = options;
  if (timeoutMs !== undefined) checkTimeout('timeoutMs', timeoutMs);
  if (quietMs !== undefined) checkTimeout('quietMs', quietMs);
}

/** @throws GradwireError `rref_leaked` if there are leaked references and the options do not bear it */
export function checkLeaks(
  { leaked }: ShutdownReport,
  { ignoreRRefLeak = true }: ShutdownOptions,
): void {
  if (ignoreRRefLeak || leaked.length === 0) return;
  const message = `nobody let go of ${leaked.join(', ')}: dispose them, or use 'using'`;
  throw new GradwireError('rref_leaked', message, { stage: 'shutdown' });
}

/** How a worker takes its leave. */
export interface Way {
  /** Resolves with whether the worker may go. @param isOver whether it is cut short */
  agree(isOver: () => boolean): Promise<boolean>;
  /** Whether one that has died leaves work undone. */
  readonly needsAll: boolean;
  /** Ends connections and frees everything. */
  close(): Promise<void>;
}

/** One worker's way out, begun by the first `shutdown`; later ones may shorten it. */
export class Departure {
  readonly report: Promise<ShutdownReport>;
  readonly #worker: Leaver;
  /** By `performance.now()`. */
  #deadline = Number.POSITIVE_INFINITY;
  #quietMs = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;
  #cut: () => void = () => {};

  constructor(worker: Leaver, options: ShutdownOptions, way: Way) {
    this.#worker = worker;
    const cut = new Promise<false>((resolve) => {
      this.#cut = () => resolve(false);
    });
    this.report = this.#leave(options.graceful ?? true, cut, way);
    this.hurry(options);
  }

  /** Limits that are stricter than those before take effect; others change nothing. */
  hurry({
    graceful = true,
    timeoutMs = Number.POSITIVE_INFINITY,
    quietMs = 600_000,
  }: ShutdownOptions): void {
    if (this.#isOver) return;
    const deadline = performance.now() + (graceful ? timeoutMs : 0);
    this.#deadline = Math.min(this.#deadline, deadline);
    this.#quietMs = Math.min(this.#quietMs, quietMs);
    this.#watch();
  }

  async #leave(graceful: boolean, cut: Promise<false>, way: Way): Promise<ShutdownReport> {
    const { endpoint, members, references } = this.#worker;
    const agreed = (): Promise<boolean> => way.agree(() => this.#isOver);
    const hasAgreed = graceful && (await Promise.race([agreed(), cut]));
    this.#isOver = true;
    clearTimeout(this.#timer);
    const cancelled = endpoint.waitingCount + endpoint.runningCount;
    const leaked = references.held();
    await way.close();
    const dead = members.dead();
    const isComplete = dead.length === 0 || !way.needsAll;
    return { drained: hasAgreed && cancelled === 0 && isComplete, cancelled, dead, leaked };
  }

  /** Cuts the waiting short once a limit is reached; looks again when one could be. */
  #watch(): void {
    clearTimeout(this.#timer);
    const { quietForMs } = this.#worker.endpoint;
    const leftMs = Math.min(this.#deadline - performance.now(), this.#quietMs - quietForMs);
    if (leftMs <= 0) return this.#cut();
    this.#timer = setTimeout(() => this.#watch(), Math.min(Math.max(1, leftMs), 2 ** 31 - 1));
  }
}

/**
 * Leaves when nobody has work any more. That one worker is idle does not tell: a call may come that makes it call others.
 * So all meet when idle, again and again, until nobody has sent or received anything since the meeting before. Should
 * the worker that keeps the meetings go, the next takes its place and the count begins anew.
 */
export async function agreeWithAll(worker: Leaver, isOver: () => boolean): Promise<boolean> {
  const { endpoint, members } = worker;
  let leader = -1;
  let round = 0;
  let before = -1;
  while (!isOver()) {
    await atRest(endpoint, isOver);
    const ranks = members.live();
    const lowest = Math.min(...ranks);
    if (lowest !== leader) [leader, round, before] = [lowest, 0, -1];
    const { activity } = endpoint;
    const key = `shutdown ${round} of ${leader}`;
    const options = { timeoutMs: Number.POSITIVE_INFINITY };
    try {
      const vote = activity === before;
      if (await worker.meet({ key, ranks, isTolerant: true, vote, options })) return true;
    } catch {
      if (members.live().includes(leader)) return false;
    }
    before = activity;
    round++;
  }
  return false;
}

/** How long a handler may go on whose caller is gone, in ms, and how often it is looked at meanwhile. */
const ORPHAN_MS = 500;
const LOOKS = 5;

/** Resolves when nothing is under way; handlers that nobody waits for, because their callers are dead, are given little time. */
export async function atRest(
  endpoint: Pick<Endpoint, 'idle' | 'awaitedCount'>,
  isOver: () => boolean,
): Promise<void> {
  let isIdle = false;
  const idle = endpoint.idle().then(() => {
    isIdle = true;
  });
  for (let looks = 0; !isIdle && !isOver() && looks < LOOKS; ) {
    await Promise.race([idle, delay(ORPHAN_MS / LOOKS, undefined, { ref: false })]);
    looks = endpoint.awaitedCount === 0 ? looks + 1 : 0;
  }
}
