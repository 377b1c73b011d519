/** A worker's calls of `waitAllWorkers`: one agreement after the other, each bounded. Nobody leaves by it. */
import { GradwireError, isGradwireError } from '../errors.ts';
import { outside } from '../tensor/index.ts';
import { type Agreeing, Agreement } from './agreement.ts';
import { handledCall } from './current.ts';
import { Deadlines } from './deadlines.ts';
import { checkTimeout } from './options.ts';

export interface WaitAllWorkersOptions {
  /** The longest to wait, in ms. Default: Infinity, as in PyTorch. */
  readonly timeoutMs?: number;
}

export class JointWaits {
  readonly #worker: Agreeing;
  readonly #deadlines = new Deadlines();
  /** What comes next; one that failed is for the next attempt. */
  #agreement: Agreement | undefined;
  #count = 0;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(worker: Agreeing) {
    this.#worker = worker;
  }

  /** Calls that wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /** See `Worker.waitAllWorkers`. */
  async wait({ timeoutMs = Number.POSITIVE_INFINITY }: WaitAllWorkersOptions): Promise<void> {
    checkTimeout('timeoutMs', timeoutMs);
    if (this.#worker.members.isDynamic) {
      const message =
        'workers of a dynamic group come and go: name those that meet by rpc.barrier(names)';
      throw new GradwireError('invalid_argument', message);
    }
    if (handledCall() !== undefined) {
      const message = 'waitAllWorkers waits until no handler runs: call it outside of handlers';
      throw new GradwireError('invalid_argument', message);
    }
    this.#waiting++;
    try {
      await outside(() => this.#bounded(timeoutMs));
    } finally {
      this.#waiting--;
    }
  }

  async #bounded(timeoutMs: number): Promise<void> {
    const until = performance.now() + timeoutMs;
    const leftMs = (): number => until - performance.now();
    let giveUp = (): void => {};
    const limit = new Promise<false>((resolve) => {
      giveUp = () => resolve(false);
    });
    const deadline = this.#deadlines.add(timeoutMs, giveUp);
    // Each call is for a meeting of its own.
    const turn = this.#last.then(() => this.#agree(leftMs));
    this.#last = turn.catch(() => {});
    try {
      if (await Promise.race([turn, limit])) return;
    } catch (error) {
      // A meeting has the same limit.
      if (!isGradwireError(error) || error.code !== 'deadline_exceeded') throw error;
    } finally {
      deadline.cancel();
    }
    const rule = 'each must call waitAllWorkers, and end its work or leave';
    const message = `not all workers were there and at rest within ${timeoutMs} ms: ${rule}`;
    throw new GradwireError('deadline_exceeded', message, { stage: 'barrier' });
  }

  async #agree(leftMs: () => number): Promise<boolean> {
    this.#agreement ??= new Agreement(this.#worker, `wait ${this.#count}`);
    const isReached = await this.#agreement.reach(() => leftMs() <= 0, leftMs);
    if (!isReached) return false;
    this.#agreement = undefined;
    this.#count++;
    return true;
  }
}
