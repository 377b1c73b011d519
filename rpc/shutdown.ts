/** How a worker leaves its group: in agreement with the others, and within a bound whatever they do. */
import { GradwireError } from '../errors.ts';
import type { Agreeing } from './agreement.ts';
import { checkTimeout } from './options.ts';
import type { References } from './references.ts';

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
  /** Calls, own and others', and own meetings (`barrier`, `waitAllWorkers`) that were cut off. */
  readonly cancelled: number;
  /** Names of members that had died. */
  readonly dead: readonly string[];
  /** References of this worker that nobody let go of. */
  readonly leaked: readonly string[];
}

/** What leaving needs of a worker. */
export interface Leaver extends Agreeing {
  readonly references: References;
  /** Meetings that its user waits at. */
  readonly meetings: number;
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
    const cancelled = endpoint.waitingCount + endpoint.runningCount + this.#worker.meetings;
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
