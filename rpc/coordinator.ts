/**
 * Rank 0's book of a dynamic group: who may come, who is there and who leaves, as numbered changes. Takes one event at a
 * time and says what follows. Pure: carriers and timers are dynamic-group.ts's, what a member makes of the changes roster.ts's.
 */
import { type ErrorCode, GradwireError } from '../errors.ts';
import type { Change, Seat } from './roster.ts';
import { type Candidate, DYNAMIC, MAX_RANK } from './transport.ts';

export type CoordinatorEvent =
  /** A worker wants to come. */
  | { readonly type: 'ask'; readonly candidate: Candidate }
  /** Who asked waits no longer, or did not come in time after it was admitted. */
  | { readonly type: 'forget'; readonly incarnation: string }
  /** Who was admitted has connected to rank 0: from now on its connection tells whether it is there. */
  | { readonly type: 'connected'; readonly incarnation: string }
  /** A member finishes its work and takes no new one. */
  | { readonly type: 'leaving'; readonly incarnation: string }
  /** A member's connection to rank 0 is over. */
  | { readonly type: 'gone'; readonly incarnation: string; readonly isFarewell: boolean }
  /** Rank 0 leaves: nobody comes any more. */
  | { readonly type: 'close' };

export type CoordinatorEffect =
  | { readonly type: 'admit'; readonly incarnation: string }
  | { readonly type: 'refuse'; readonly incarnation: string; readonly error: GradwireError }
  /** For all that are connected to rank 0; who has just connected gets the `snapshot` first. */
  | { readonly type: 'change'; readonly change: Change };

interface Entry {
  readonly seat: Seat;
  /** `reserved`: admitted, not yet connected. */
  readonly stage: 'reserved' | 'here' | 'leaving';
}

export class Coordinator {
  /** By rank: each is given to one worker at a time. */
  readonly #entries = new Map<number, Entry>();
  /** Those whose rank or name is held by someone of whom it is not known yet whether it stays. */
  #asking: Candidate[] = [];
  #number = 0;
  #isClosed = false;

  /** All that a newcomer has to know. */
  get snapshot(): Change {
    const seats = this.#at('here');
    return { number: this.#number, seats, leaving: [], departed: [] };
  }

  /** Names of the members other than rank 0, by rank. */
  get others(): readonly string[] {
    return [...this.#at('here'), ...this.#at('leaving')]
      .filter(({ rank }) => rank !== 0)
      .sort((a, b) => a.rank - b.rank)
      .map(({ name }) => name);
  }

  /** Whether this worker was admitted and has not connected yet. */
  isExpected(rank: number, incarnation: string): boolean {
    const entry = this.#entries.get(rank);
    if (this.#isClosed || entry?.stage !== 'reserved') return false;
    return entry.seat.incarnation === incarnation;
  }

  step(event: CoordinatorEvent): readonly CoordinatorEffect[] {
    switch (event.type) {
      case 'ask':
        return this.#ask(event.candidate);
      case 'forget':
        return this.#forget(event.incarnation);
      case 'connected':
        return this.#connected(event.incarnation);
      case 'leaving':
        return this.#leaving(event.incarnation);
      case 'gone':
        return this.#gone(event.incarnation, event.isFarewell);
      case 'close':
        return this.#close();
    }
  }

  #ask(candidate: Candidate): readonly CoordinatorEffect[] {
    const { name, rank, address, incarnation, liveness } = candidate;
    // A worker that asks again has lost the answer.
    if (this.#entry(incarnation) !== undefined) return [{ type: 'admit', incarnation }];
    this.#asking = this.#asking.filter((other) => other.incarnation !== incarnation);
    const error = this.#refusal(candidate);
    if (error !== undefined) return [{ type: 'refuse', incarnation, error }];
    if (this.#rivals(candidate).length > 0) {
      this.#asking.push(candidate);
      return [];
    }
    const seat = { name, rank, address, incarnation, liveness, since: 0 };
    this.#entries.set(rank, { seat, stage: 'reserved' });
    return [{ type: 'admit', incarnation }];
  }

  #forget(incarnation: string): readonly CoordinatorEffect[] {
    this.#asking = this.#asking.filter((candidate) => candidate.incarnation !== incarnation);
    const entry = this.#entry(incarnation);
    if (entry?.stage !== 'reserved') return [];
    this.#entries.delete(entry.seat.rank);
    return this.#askAgain();
  }

  #connected(incarnation: string): readonly CoordinatorEffect[] {
    const entry = this.#entry(incarnation);
    if (entry?.stage !== 'reserved' || this.#isClosed) return [];
    const number = ++this.#number;
    const seat = { ...entry.seat, since: number };
    this.#entries.set(seat.rank, { seat, stage: 'here' });
    const change = { number, seats: [seat], leaving: [], departed: [] };
    return [{ type: 'change', change }, ...this.#askAgain()];
  }

  #leaving(incarnation: string): readonly CoordinatorEffect[] {
    const entry = this.#entry(incarnation);
    if (entry?.stage !== 'here') return [];
    this.#entries.set(entry.seat.rank, { ...entry, stage: 'leaving' });
    const change = { number: ++this.#number, seats: [], leaving: [incarnation], departed: [] };
    return [{ type: 'change', change }];
  }

  #gone(incarnation: string, isFarewell: boolean): readonly CoordinatorEffect[] {
    const entry = this.#entry(incarnation);
    if (entry === undefined || entry.stage === 'reserved') return [];
    this.#entries.delete(entry.seat.rank);
    const hasLeft = isFarewell || entry.stage === 'leaving';
    const departed = [{ incarnation, hasLeft }];
    const change = { number: ++this.#number, seats: [], leaving: [], departed };
    return [{ type: 'change', change }, ...this.#askAgain()];
  }

  #close(): readonly CoordinatorEffect[] {
    this.#isClosed = true;
    return this.#askAgain();
  }

  /** Something was decided: those who waited for it are heard once more. */
  #askAgain(): readonly CoordinatorEffect[] {
    return this.#asking.splice(0).flatMap((candidate) => this.#ask(candidate));
  }

  #refusal(candidate: Candidate): GradwireError | undefined {
    const { name, rank, worldSize } = candidate;
    const refuse = (code: ErrorCode, message: string): GradwireError =>
      new GradwireError(code, message, { stage: 'init' });
    if (worldSize !== DYNAMIC) {
      const message = `${name} was started with world size ${worldSize}, but the group is dynamic`;
      return refuse('group_mismatch', `${message}: static and dynamic members do not mix`);
    }
    if (!Number.isInteger(rank) || rank < 0 || rank > MAX_RANK) {
      return refuse('invalid_argument', `rank ${rank} is not between 0 and ${MAX_RANK}`);
    }
    if (this.#isClosed) return refuse('unavailable', 'rank 0 is leaving: nobody can join any more');
    for (const { seat, stage } of this.#rivals(candidate)) {
      if (stage !== 'here') continue;
      if (seat.rank !== rank) {
        return refuse('duplicate_name', `the name ${name} is taken by rank ${seat.rank}`);
      }
      return refuse('duplicate_rank', `rank ${rank} is taken by ${seat.name}`);
    }
    return undefined;
  }

  /** Those who have the candidate's rank or name. */
  #rivals({ rank, name }: Candidate): readonly Entry[] {
    return [...this.#entries.values()].filter(
      ({ seat }) => seat.rank === rank || seat.name === name,
    );
  }

  #entry(incarnation: string): Entry | undefined {
    for (const entry of this.#entries.values()) {
      if (entry.seat.incarnation === incarnation) return entry;
    }
    return undefined;
  }

  #at(stage: Entry['stage']): readonly Seat[] {
    return [...this.#entries.values()].filter((e) => e.stage === stage).map(({ seat }) => seat);
  }
}
