/** Who takes part in a backward pass, as its initiator knows it, and whether all are done. */
import { GradwireError } from '../errors.ts';
import { fromWire } from '../rpc/internal.ts';

export class Participants {
  readonly ranks: Set<number> = new Set();
  readonly #done = new Set<number>();
  readonly #nameOf: (rank: number) => string;
  readonly #timer: NodeJS.Timeout;
  readonly #result: Promise<void>;
  #resolve: () => void = () => {};
  #reject: (error: Error) => void = () => {};
  #isWaiting = false;

  constructor(timeoutMs: number, nameOf: (rank: number) => string) {
    this.#nameOf = nameOf;
    this.#result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // A failure may come before anyone waits for the end.
    this.#result.catch(() => {});
    this.#timer = setTimeout(() => this.#expire(timeoutMs), Math.min(timeoutMs, 2 ** 31 - 1));
  }

  add(ranks: Iterable<number>): void {
    for (const rank of ranks) this.ranks.add(rank);
  }

  /** @param failure what its share failed with, as `toWire` made it; null if it is done */
  done(rank: number, failure: unknown): void {
    if (failure !== null) {
      const name = this.#nameOf(rank);
      const cause = fromWire(failure, name, 'backward');
      this.#fail(name, `the backward pass failed on ${name}: ${cause.message}`, cause);
      return;
    }
    this.#done.add(rank);
    this.#check();
  }

  /** A worker is gone. */
  lost(rank: number): void {
    if (!this.ranks.has(rank)) return;
    const name = this.#nameOf(rank);
    this.#fail(name, `${name} is gone in the middle of the backward pass`);
  }

  /** Resolves when all are done. @throws GradwireError `backward_failed` naming the worker */
  async allDone(): Promise<void> {
    this.#isWaiting = true;
    this.#check();
    await this.#result;
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #check(): void {
    if (this.#isWaiting && [...this.ranks].every((rank) => this.#done.has(rank))) this.#resolve();
  }

  #expire(timeoutMs: number): void {
    const late = [...this.ranks].filter((rank) => !this.#done.has(rank)).map(this.#nameOf);
    const names = late.join(', ');
    this.#fail(names, `the backward pass was not done within ${timeoutMs} ms on ${names}`);
  }

  #fail(peer: string, message: string, cause?: Error): void {
    const details = { peer, stage: 'backward', ...(cause === undefined ? {} : { cause }) };
    this.#reject(new GradwireError('backward_failed', message, details));
  }
}
