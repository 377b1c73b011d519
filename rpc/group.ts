/**
 * The master's book of who has joined a static group: takes requests one by one, says who must be refused and when the
 * group is complete. Pure; carriers bring the requests and the answers.
 */
import { type ErrorCode, GradwireError } from '../errors.ts';
import { duration } from './duration.ts';
import { type Candidate, DYNAMIC, type Member, type Rendezvous } from './transport.ts';

interface Waiting {
  readonly incarnation: string;
  readonly resolve: (members: readonly Member[]) => void;
  readonly reject: (error: Error) => void;
}

export class Group implements Rendezvous {
  readonly #worldSize: number;
  readonly #members = new Map<number, Member>();
  readonly #waiting = new Map<number, Waiting>();
  #isComplete = false;

  constructor(worldSize: number) {
    this.#worldSize = worldSize;
  }

  /**
   * Adds a worker; resolves with all members when the last has come.
   * @throws GradwireError (as rejection) `duplicate_rank`, `duplicate_name`, `group_mismatch`
   */
  join(candidate: Candidate): Promise<readonly Member[]> {
    const refusal = this.#refusal(candidate);
    if (refusal !== undefined) return Promise.reject(refusal);
    const { name, rank, address, incarnation, liveness } = candidate;
    this.#members.set(rank, { name, rank, address, incarnation, liveness });
    // A worker that asks again has lost its first question.
    this.#waiting.get(rank)?.reject(new GradwireError('cancelled', 'joined again'));
    this.#waiting.delete(rank);
    if (this.#members.size === this.#worldSize) return Promise.resolve(this.#complete());
    return new Promise((resolve, reject) => {
      this.#waiting.set(rank, { incarnation, resolve, reject });
    });
  }

  /**
   * The patience of a worker is over: the error names who is missing, and its place is free again. Without the master there
   * is no group: when its patience is over all are told.
   */
  expire(rank: number, incarnation: string, timeoutMs: number): void {
    const error = this.missing(timeoutMs);
    if (rank === 0) for (const { reject } of this.#waiting.values()) reject(error);
    this.#remove(rank, incarnation, error);
  }

  /** A worker that was waiting has gone away: its place is free again. */
  leave(rank: number, incarnation: string): void {
    const message = `rank ${rank} went away before the group was complete`;
    this.#remove(rank, incarnation, new GradwireError('cancelled', message));
  }

  /** The master goes: nobody waits any longer. */
  close(): void {
    const error = new GradwireError('unavailable', 'the master left while the group was forming');
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }

  /** The error that says who has not come, and who has. */
  missing(timeoutMs: number): GradwireError {
    const ranks = Array.from({ length: this.#worldSize }, (_, rank) => rank);
    const missing = ranks.filter((rank) => !this.#members.has(rank)).join(', ');
    const joined = [...this.#members.values()]
      .sort((a, b) => a.rank - b.rank)
      .map(({ name, rank }) => `${rank} (${name})`)
      .join(', ');
    return new GradwireError(
      'init_timeout',
      `waited ${duration(timeoutMs)} for rank ${missing} of a group of ${this.#worldSize}; ` +
        `joined: ${joined || 'none'}. Start the missing workers, or raise initTimeoutMs`,
      { stage: 'init' },
    );
  }

  #remove(rank: number, incarnation: string, error: GradwireError): void {
    const waiting = this.#waiting.get(rank);
    if (waiting === undefined || waiting.incarnation !== incarnation) return;
    this.#waiting.delete(rank);
    this.#members.delete(rank);
    waiting.reject(error);
  }

  #complete(): readonly Member[] {
    this.#isComplete = true;
    const members = [...this.#members.values()].sort((a, b) => a.rank - b.rank);
    for (const { resolve } of this.#waiting.values()) resolve(members);
    this.#waiting.clear();
    return members;
  }

  #refusal({ name, rank, worldSize, incarnation }: Candidate): GradwireError | undefined {
    const refuse = (code: ErrorCode, message: string): GradwireError =>
      new GradwireError(code, message, { stage: 'init' });
    if (worldSize === DYNAMIC) {
      const message = `${name} was started without a world size, but the group has one, ${this.#worldSize}`;
      return refuse('group_mismatch', `${message}: static and dynamic members do not mix`);
    }
    if (worldSize !== this.#worldSize) {
      return refuse(
        'group_mismatch',
        `${name} was started with world size ${worldSize}, the master with ${this.#worldSize}`,
      );
    }
    if (!Number.isInteger(rank) || rank < 0 || rank >= worldSize) {
      return refuse('invalid_argument', `rank ${rank} is not below the world size ${worldSize}`);
    }
    for (const member of this.#members.values()) {
      if (member.incarnation === incarnation) continue;
      if (member.rank === rank) {
        return refuse('duplicate_rank', `rank ${rank} is taken by ${member.name}`);
      }
      if (member.name === name) {
        return refuse('duplicate_name', `the name ${name} is taken by rank ${member.rank}`);
      }
    }
    const isKnown = this.#members.get(rank)?.incarnation === incarnation;
    if (this.#isComplete && !isKnown) return refuse('group_mismatch', 'the group is complete');
    return undefined;
  }
}
