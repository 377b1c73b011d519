/** A worker's calls of `shutdown`: whether it may leave at all, then one departure for all of them. */
import { GradwireError } from '../errors.ts';
import { Agreement } from './agreement.ts';
import type { Membership } from './membership.ts';
import { Departure, type Leaver, type ShutdownOptions, type ShutdownReport } from './shutdown.ts';

export class Exit {
  readonly #worker: Leaver;
  readonly #close: () => Promise<void>;
  #departure: Departure | undefined;

  /** @param close ends connections and frees everything */
  constructor(worker: Leaver, close: () => Promise<void>) {
    this.#worker = worker;
    this.#close = close;
  }

  /** See `Worker.shutdown`. @param membership of a dynamic group */
  async leave(
    options: ShutdownOptions,
    membership: Membership | undefined,
  ): Promise<ShutdownReport> {
    const startedAt = performance.now();
    if (membership !== undefined) await this.#checkMayLeave(options, membership);
    const spentMs = performance.now() - startedAt;
    const { timeoutMs } = options;
    const limits = {
      ...options,
      ...(timeoutMs && { timeoutMs: Math.max(1, timeoutMs - spentMs) }),
    };
    if (this.#departure !== undefined) this.#departure.hurry(limits);
    else {
      this.#departure = this.#depart(limits, membership);
      // Another call may be waiting for the others.
      membership?.changes.changed();
    }
    return this.#departure.report;
  }

  #depart(options: ShutdownOptions, membership: Membership | undefined): Departure {
    const worker = this.#worker;
    const close = this.#close;
    if (membership === undefined) {
      const agreement = new Agreement(worker, 'shutdown');
      // Who cannot meet the others leaves without their consent.
      const agree = (isOver: () => boolean): Promise<boolean> =>
        agreement.reach(isOver, () => Number.POSITIVE_INFINITY).catch(() => false);
      return new Departure(worker, options, { agree, needsAll: true, close });
    }
    const agree = async (): Promise<boolean> => {
      await membership.leave();
      return true;
    };
    return new Departure(worker, options, { agree, needsAll: false, close });
  }

  /** Rank 0 of a dynamic group is where the others meet: it leaves last, unless it is told to leave without grace. */
  async #checkMayLeave(options: ShutdownOptions, membership: Membership): Promise<void> {
    const { graceful = true, timeoutMs } = options;
    const mayLeave = (): boolean => this.#departure !== undefined || membership.closeGroup();
    if (!graceful || mayLeave()) return;
    if (timeoutMs !== undefined && (await membership.changes.until(mayLeave, timeoutMs))) return;
    const { others } = membership;
    const shown = others.slice(0, 10).join(', ') + (others.length > 10 ? ', …' : '');
    throw new GradwireError(
      'group_in_use',
      `rank 0 cannot leave before the others: ${shown}. Shut them down first, wait for them with timeoutMs, ` +
        'or end the group by graceful: false',
      { stage: 'shutdown' },
    );
  }
}
