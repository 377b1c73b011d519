/** The members of a group as one worker knows them: who they are and who is still there. Pure. */
import { GradwireError } from '../errors.ts';
import { didYouMean } from './nearest.ts';
import type { Member } from './transport.ts';
import { type Peer, WorkerInfo } from './worker-info.ts';

export class Members {
  readonly #byName: ReadonlyMap<string, WorkerInfo>;
  readonly #byRank: ReadonlyMap<number, WorkerInfo>;
  readonly #gone = new Set<number>();
  readonly #dead = new Set<number>();

  /** @param members by rank */
  constructor(members: readonly Member[]) {
    const infos = members.map(({ name, rank }) => new WorkerInfo(name, rank));
    this.#byName = new Map(infos.map((info) => [info.name, info]));
    this.#byRank = new Map(infos.map((info) => [info.id, info]));
  }

  /** @throws GradwireError `unknown_worker` */
  get(peer: Peer): WorkerInfo {
    const key = peer instanceof WorkerInfo ? peer.name : peer;
    if (typeof key !== 'string' && !Number.isInteger(key)) {
      const message = `${String(key)} is no worker: give a name, a rank or a WorkerInfo`;
      throw new GradwireError('invalid_argument', message, { maybeExecuted: false });
    }
    const info = typeof key === 'number' ? this.#byRank.get(key) : this.#byName.get(key);
    if (info !== undefined) return info;
    const known = [...this.#byName.keys()];
    const hint = typeof key === 'string' ? didYouMean(key, known) : '';
    const which = typeof key === 'number' ? `of rank ${key}` : `named ${key}`;
    throw new GradwireError(
      'unknown_worker',
      `the group has no worker ${which}; its workers: ${known.join(', ')}.${hint}`,
      { maybeExecuted: false },
    );
  }

  /** The member of this rank. */
  find(rank: number): WorkerInfo | undefined {
    return this.#byRank.get(rank);
  }

  all(): readonly WorkerInfo[] {
    return [...this.#byRank.values()];
  }

  nameOf(rank: number): string {
    return this.#byRank.get(rank)?.name ?? `rank ${rank}`;
  }

  /** A member is gone. False if that was known. */
  markGone(rank: number, isFarewell: boolean): boolean {
    if (this.#gone.has(rank)) return false;
    this.#gone.add(rank);
    if (!isFarewell) this.#dead.add(rank);
    return true;
  }

  isGone(rank: number): boolean {
    return this.#gone.has(rank);
  }

  /** Ranks of those that are there. */
  live(): readonly number[] {
    return [...this.#byRank.keys()].filter((rank) => !this.#gone.has(rank));
  }

  /** Names of those that went without a farewell. */
  dead(): readonly string[] {
    return [...this.#dead].map((rank) => this.nameOf(rank));
  }
}
