/** The members of a group as one worker knows them: who they are and who is still there. Pure. */
import { GradwireError } from '../errors.ts';
import { didYouMean } from './nearest.ts';
import { type Peer, WorkerInfo } from './worker-info.ts';

/** How many that are gone a worker of a dynamic group remembers, for its messages. */
const REMEMBERED = 1_000;

/** Who belongs to the group. */
interface Belonging {
  readonly name: string;
  readonly rank: number;
  /** Tells those apart who held a rank one after the other; 0 in static groups. */
  readonly since?: number;
}

export class Members {
  readonly #byName = new Map<string, WorkerInfo>();
  readonly #byRank = new Map<number, WorkerInfo>();
  readonly #since = new Map<number, number>();
  readonly #leaving = new Set<number>();
  readonly #gone = new Set<number>();
  readonly #dead = new Set<number>();
  /** Infos of those whose name was given again. */
  readonly #replaced = new WeakSet<WorkerInfo>();
  readonly isDynamic: boolean;

  /** @param members by rank */
  constructor(members: readonly Belonging[], isDynamic = false) {
    this.isDynamic = isDynamic;
    for (const member of members) this.add(member);
  }

  /** A member has come, perhaps with the rank of one that is gone. */
  add({ name, rank, since = 0 }: Belonging): WorkerInfo {
    const info = new WorkerInfo(name, rank);
    const before = this.#byName.get(name);
    if (before !== undefined) this.#replaced.add(before);
    this.#byName.set(name, info);
    this.#byRank.set(rank, info);
    this.#since.set(rank, since);
    for (const set of [this.#leaving, this.#gone, this.#dead]) set.delete(rank);
    return info;
  }

  /** The place of a member in the order of all arrivals has become known. */
  setSince(rank: number, since: number): void {
    this.#since.set(rank, since);
  }

  /** @throws GradwireError `unknown_worker` */
  get(peer: Peer): WorkerInfo {
    const key = peer instanceof WorkerInfo ? peer.name : peer;
    if (typeof key !== 'string' && !Number.isInteger(key)) {
      const message = `${String(key)} is no worker: give a name, a rank or a WorkerInfo`;
      throw new GradwireError('invalid_argument', message, { maybeExecuted: false });
    }
    const info = typeof key === 'number' ? this.#byRank.get(key) : this.#byName.get(key);
    if (info !== undefined && peer instanceof WorkerInfo) this.#checkInfo(peer, info);
    if (info !== undefined) return info;
    const known = this.all().map(({ name }) => name);
    const hint = typeof key === 'string' ? didYouMean(key, known) : '';
    const which = typeof key === 'number' ? `of rank ${key}` : `named ${key}`;
    throw new GradwireError(
      'unknown_worker',
      `the group has no worker ${which}; its workers: ${known.join(', ')}.${hint}`,
      { maybeExecuted: false },
    );
  }

  /** An info made by hand, or of a member whose name another has now. */
  #checkInfo(given: WorkerInfo, { name, id }: WorkerInfo): void {
    if (given.id === id && !this.#replaced.has(given)) return;
    const message =
      given.id === id
        ? `the info is of another worker that was named ${name} before, and is gone`
        : `${name} has rank ${id}, not ${given.id}`;
    throw new GradwireError('unknown_worker', message, { maybeExecuted: false });
  }

  /** The member of this rank. */
  find(rank: number): WorkerInfo | undefined {
    return this.#byRank.get(rank);
  }

  /** Whether this very member is there, and not one that had its rank before. */
  isMember({ rank, since = 0 }: Belonging): boolean {
    return this.#byRank.has(rank) && !this.#gone.has(rank) && this.#since.get(rank) === since;
  }

  /** Whether this is the member that has its rank now, and not one that had it before. */
  isCurrent(info: WorkerInfo): boolean {
    const current = this.#byRank.get(info.id);
    return current === info || (!this.isDynamic && current?.name === info.name);
  }

  /** @throws GradwireError `unavailable` if `to` takes no new work, or another worker has its rank */
  checkTakesWork(to: WorkerInfo, what: string): void {
    if (this.isCurrent(to) && !this.#leaving.has(to.id)) return;
    const message = `${to.name} has left the group: ${what} was not sent`;
    const details = { peer: to.name, stage: 'call', maybeExecuted: false };
    throw new GradwireError('unavailable', message, details);
  }

  /** By rank: all of a static group, those that are there of a dynamic one. */
  all(): readonly WorkerInfo[] {
    const infos = [...this.#byRank.values()];
    if (!this.isDynamic) return infos;
    return infos
      .filter(({ id }) => !this.#gone.has(id) && !this.#leaving.has(id))
      .sort((a, b) => a.id - b.id);
  }

  nameOf(rank: number): string {
    return this.#byRank.get(rank)?.name ?? `rank ${rank}`;
  }

  /** Names a member for as long as the group lasts: ranks are given again in dynamic groups. */
  tagOf(rank: number): string {
    const since = this.#since.get(rank) ?? 0;
    return since === 0 ? `${rank}` : `${rank}@${since}`;
  }

  /** A member finishes its work and takes no new one. */
  markLeaving(rank: number): void {
    if (this.#byRank.has(rank) && !this.#gone.has(rank)) this.#leaving.add(rank);
  }

  /** A member is gone. False if that was known, or nobody has this rank. */
  markGone(rank: number, isFarewell: boolean): boolean {
    if (this.#gone.has(rank) || !this.#byRank.has(rank)) return false;
    this.#gone.add(rank);
    if (!isFarewell && !this.#leaving.has(rank)) this.#dead.add(rank);
    if (this.isDynamic && this.#gone.size > REMEMBERED) this.#forgetOldest();
    return true;
  }

  isGone(rank: number): boolean {
    return this.#gone.has(rank);
  }

  isDead(rank: number): boolean {
    return this.#dead.has(rank);
  }

  /** Ranks of those that are there. */
  live(): readonly number[] {
    return [...this.#byRank.keys()].filter((rank) => !this.#gone.has(rank));
  }

  /** Names of those that went without a farewell. */
  dead(): readonly string[] {
    return [...this.#dead].map((rank) => this.nameOf(rank));
  }

  #forgetOldest(): void {
    for (const rank of this.#gone) {
      const info = this.#byRank.get(rank);
      if (info !== undefined && this.#byName.get(info.name) === info)
        this.#byName.delete(info.name);
      for (const kept of [this.#byRank, this.#since, this.#leaving, this.#gone, this.#dead]) {
        kept.delete(rank);
      }
      return;
    }
  }
}
