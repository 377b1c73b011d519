/** Meeting points, kept by the worker of the lowest rank that takes part. Pure. */
import { GradwireError } from '../errors.ts';
import type { Members } from './members.ts';

interface Meeting {
  readonly ranks: readonly number[];
  readonly arrived: Map<number, { resolve(): void; reject(error: Error): void }>;
}

export class Barriers {
  readonly #meetings = new Map<string, Meeting>();
  readonly #members: Members;

  constructor(members: Members) {
    this.#members = members;
  }

  /**
   * `rank` has reached the meeting point `key`; resolves when all `ranks` have.
   * @param isTolerant those that are gone are not waited for; otherwise `unavailable` names them
   */
  arrive(key: string, ranks: readonly number[], rank: number, isTolerant: boolean): Promise<void> {
    const meeting = this.#meetings.get(key) ?? { ranks, arrived: new Map() };
    this.#meetings.set(key, meeting);
    return new Promise((resolve, reject) => {
      meeting.arrived.set(rank, { resolve, reject });
      this.#check(key, meeting, isTolerant);
    });
  }

  /** A worker is gone: nobody waits for it for ever. */
  checkAll(isTolerant: (key: string) => boolean): void {
    for (const [key, meeting] of this.#meetings) this.#check(key, meeting, isTolerant(key));
  }

  #check(key: string, { ranks, arrived }: Meeting, isTolerant: boolean): void {
    const missing = ranks.filter((rank) => !arrived.has(rank));
    const gone = missing.filter((rank) => this.#members.isGone(rank));
    if (gone.length > 0 && !isTolerant) {
      this.#meetings.delete(key);
      const names = gone.map((rank) => this.#members.nameOf(rank)).join(', ');
      const error = new GradwireError(
        'unavailable',
        `${names} is gone and cannot reach the barrier`,
        {
          peer: names,
          stage: 'barrier',
        },
      );
      for (const { reject } of arrived.values()) reject(error);
    } else if (missing.length === gone.length) {
      this.#meetings.delete(key);
      for (const { resolve } of arrived.values()) resolve();
    }
  }
}
