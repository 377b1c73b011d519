/** Meeting points, kept by the worker of the lowest rank that takes part. */
import { type ErrorCode, GradwireError } from '../errors.ts';
import { type Deadline, Deadlines } from './deadlines.ts';
import type { Members } from './members.ts';

export interface Arrival {
  /** Name of the meeting point. */
  readonly key: string;
  /** Who takes part. */
  readonly ranks: readonly number[];
  /** Who has come. */
  readonly rank: number;
  /** Those that are gone are not waited for; otherwise `unavailable` names them. */
  readonly isTolerant: boolean;
  /** Joined to those of the others. */
  readonly vote: boolean;
  /** How long it waits, in ms: who has given up is not there when the others come. */
  readonly timeoutMs: number;
  /** What it brings for all. */
  readonly value?: unknown;
  /** What the meeting is called in errors. Default: the barrier. */
  readonly what?: string;
}

/** What all who have met get: the same object for all. */
export interface Met {
  readonly isUnanimous: boolean;
  /** By rank, in order of `ranks`. */
  readonly values: ReadonlyMap<number, unknown>;
}

interface Waiting {
  readonly vote: boolean;
  readonly value: unknown;
  readonly timeoutMs: number;
  readonly deadline: Deadline;
  resolve(met: Met): void;
  reject(error: Error): void;
}

interface Meeting {
  readonly what: string;
  readonly ranks: readonly number[];
  readonly isTolerant: boolean;
  readonly arrived: Map<number, Waiting>;
}

export class Barriers {
  readonly #meetings = new Map<string, Meeting>();
  readonly #members: Members;
  readonly #deadlines = new Deadlines();
  #isClosed = false;

  constructor(members: Members) {
    this.#members = members;
  }

  /** A worker has reached a meeting point; resolves when all have with whether all votes were true. */
  async arrive(arrival: Arrival): Promise<boolean> {
    return (await this.gather(arrival)).isUnanimous;
  }

  /** The same; resolves with what all have brought. */
  gather({ ranks, rank, isTolerant, vote, ...rest }: Arrival): Promise<Met> {
    const { timeoutMs, value, what = 'the barrier' } = rest;
    if (!ranks.includes(rank)) {
      const message = `rank ${rank} is not among those that meet at ${what}`;
      return Promise.reject(new GradwireError('protocol_error', message));
    }
    // Nobody else can be at the place of those that meet. Who leaves together may know of different deaths.
    const key = isTolerant ? rest.key : `${rest.key} of ${ranks}`;
    if (this.#isClosed) {
      const message = `the worker that keeps ${what} shut down`;
      return Promise.reject(new GradwireError('shut_down', message));
    }
    this.#withdraw(key, rank, 'cancelled');
    const meeting = this.#meetings.get(key) ?? { what, ranks, isTolerant, arrived: new Map() };
    this.#meetings.set(key, meeting);
    return new Promise((resolve, reject) => {
      const give = (): void => this.#withdraw(key, rank, 'deadline_exceeded');
      const deadline = this.#deadlines.add(timeoutMs, give);
      meeting.arrived.set(rank, { vote, value, timeoutMs, deadline, resolve, reject });
      this.#check(key, meeting);
    });
  }

  /** A worker is gone: it meets nobody, and nobody waits for it for ever. */
  gone(rank: number): void {
    for (const key of [...this.#meetings.keys()]) this.#withdraw(key, rank, 'unavailable');
    for (const [key, meeting] of this.#meetings) this.#check(key, meeting);
  }

  /** Sends everybody home, and whoever comes later. */
  close(): void {
    this.#isClosed = true;
    for (const [key, { arrived }] of this.#meetings) {
      for (const rank of arrived.keys()) this.#withdraw(key, rank, 'shut_down');
    }
    this.#deadlines.close();
  }

  /** A worker waits no longer. */
  #withdraw(key: string, rank: number, code: ErrorCode): void {
    const meeting = this.#meetings.get(key);
    const waiting = meeting?.arrived.get(rank);
    if (meeting === undefined || waiting === undefined) return;
    meeting.arrived.delete(rank);
    if (meeting.arrived.size === 0) this.#meetings.delete(key);
    waiting.deadline.cancel();
    const missing = meeting.ranks.filter((other) => other !== rank && !meeting.arrived.has(other));
    const names = missing.map((other) => this.#members.nameOf(other)).join(', ');
    const limit = code === 'deadline_exceeded' ? ` for ${waiting.timeoutMs} ms` : '';
    waiting.reject(new GradwireError(code, `waited at ${meeting.what} for ${names}${limit}`));
  }

  #check(key: string, { what, ranks, isTolerant, arrived }: Meeting): void {
    const missing = ranks.filter((rank) => !arrived.has(rank));
    const gone = missing.filter((rank) => this.#members.isGone(rank));
    const isBroken = gone.length > 0 && !isTolerant;
    if (!isBroken && missing.length > gone.length) return;
    this.#meetings.delete(key);
    const names = gone.map((rank) => this.#members.nameOf(rank)).join(', ');
    const met: Met = {
      isUnanimous: [...arrived.values()].every(({ vote }) => vote),
      values: new Map(ranks.map((rank) => [rank, arrived.get(rank)?.value])),
    };
    for (const { deadline, resolve, reject } of arrived.values()) {
      deadline.cancel();
      if (!isBroken) resolve(met);
      else {
        const message = `${names} is gone and cannot reach ${what}`;
        reject(new GradwireError('unavailable', message, { peer: names, stage: 'barrier' }));
      }
    }
  }
}
