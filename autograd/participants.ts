/** Who takes part in a backward pass, as its initiator knows it, whether all are done, and what ends it before. */
import { GradwireError, isGradwireError } from '../errors.ts';
import { fromWire } from '../rpc/internal.ts';
import { outside } from '../tensor/index.ts';

const MAX_TIMER_MS = 2 ** 31 - 1;

export class Participants {
  readonly ranks: Set<number> = new Set();
  /** Those that have nothing to show and are over with the pass. */
  readonly finished: Set<number> = new Set();
  readonly #done = new Set<number>();
  readonly #nameOf: (rank: number) => string;
  readonly #timer: NodeJS.Timeout;
  readonly #allDone: Promise<void>;
  readonly #failed: Promise<never>;
  #resolve: () => void = () => {};
  #reject: (error: Error) => void = () => {};
  #isWaiting = false;

  constructor(timeoutMs: number, nameOf: (rank: number) => string) {
    this.#nameOf = nameOf;
    this.#allDone = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    this.#failed = new Promise((_, reject) => {
      this.#reject = reject;
    });
    // A failure may come when nobody waits.
    this.#failed.catch(() => {});
    const limitMs = Math.min(timeoutMs, MAX_TIMER_MS);
    this.#timer = outside(() => setTimeout(() => this.#expire(timeoutMs), limitMs));
  }

  add(ranks: Iterable<number>): void {
    for (const rank of ranks) this.ranks.add(rank);
  }

  /** Those that wait for the word that their gradients may become visible. */
  get toFinish(): readonly number[] {
    return [...this.ranks].filter((rank) => !this.finished.has(rank));
  }

  /** @param failure what its share failed with, as `toWire` made it; null if it is done */
  done(rank: number, failure: unknown): void {
    if (failure !== null) {
      const name = this.#nameOf(rank);
      return this.fail(failedOn(name, fromWire(failure, name, 'backward')));
    }
    this.#done.add(rank);
    this.#check();
  }

  /** A worker is gone. */
  lost(rank: number): void {
    if (!this.ranks.has(rank)) return;
    const name = this.#nameOf(rank);
    this.fail(failed(name, `${name} is gone in the middle of the backward pass`));
  }

  /** Ends the pass; only the first failure counts. */
  fail(error: Error): void {
    this.#reject(error);
  }

  /** What `work` gives, unless the pass fails before. */
  orFailure<R>(work: Promise<R>): Promise<R> {
    return Promise.race([work, this.#failed]);
  }

  /** Resolves when all are done; no further ones may be added. @throws what the pass failed with */
  async allDone(): Promise<void> {
    this.#isWaiting = true;
    this.#check();
    await this.orFailure(this.#allDone);
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #check(): void {
    if (this.#isWaiting && [...this.ranks].every((rank) => this.#done.has(rank))) this.#resolve();
  }

  #expire(timeoutMs: number): void {
    const late = [...this.ranks].filter((rank) => !this.#done.has(rank));
    const names = late.map((rank) => this.#nameOf(rank)).join(', ');
    this.fail(failed(names, `the backward pass was not done within ${timeoutMs} ms on ${names}`));
  }
}

/**
 * `backward_failed` for what went wrong on the worker of that name, or on the one that the error itself names; an error
 * that says so already stays as it is.
 */
export function failedOn(name: string, cause: Error): GradwireError {
  const origin = isGradwireError(cause) ? (cause.peer ?? name) : name;
  if (isGradwireError(cause, 'backward_failed')) return cause;
  return failed(origin, `the backward pass failed on ${origin}: ${cause.message}`, cause);
}

function failed(peer: string, message: string, cause?: Error): GradwireError {
  const details = { peer, stage: 'backward', ...(cause === undefined ? {} : { cause }) };
  return new GradwireError('backward_failed', message, details);
}
