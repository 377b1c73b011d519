/**
 * The objects that one worker owns, and who holds each: a copy is counted once, by its id, and dropped by its holder alone.
 * Carries guarantees G1 and G2. Pure. Knows nothing of messages.
 */
import { GradwireError } from '../errors.ts';
import { BoundedSet } from './bounded-set.ts';
import { type ForkId, makerOf, type RRefId } from './reference-ids.ts';

export interface ObjectEffects {
  /** Nobody holds the object, or uses it, any more. */
  free(id: RRefId): void;
  /** The object will never be made: who asks for it, now or later, is to hear that. */
  fail(id: RRefId): void;
  /** Why one more copy that a worker asks for is not counted, of those of which it holds so many, if it is not. */
  refusal?(holder: number, held: number): Error | undefined;
}

interface Held {
  /** Holders by fork; copies of the owner itself count too. */
  readonly forks: Map<ForkId, number>;
  /** Requests that work with the object, or wait for it. */
  uses: number;
  /** Whether the creation has arrived; it may still be running. */
  isCreated: boolean;
  /** Whether its maker said that it will not arrive. */
  isFailed: boolean;
}

const REMEMBERED = 10_000;

export class HeldObjects {
  readonly #self: number;
  readonly #isMakerGone: (id: RRefId) => boolean;
  readonly #effects: ObjectEffects;
  readonly #objects = new Map<RRefId, Held>();
  /** How many copies each worker holds. */
  readonly #copies = new Map<number, number>();
  /** Objects that are not there any more, or whose creation is not wanted any more. */
  readonly #freed = new BoundedSet<RRefId>(REMEMBERED);

  /** @param self rank of the owner */
  constructor(self: number, isMakerGone: (id: RRefId) => boolean, effects: ObjectEffects) {
    this.#self = self;
    this.#isMakerGone = isMakerGone;
    this.#effects = effects;
  }

  /** Objects, those that others hold, and how many copies these have. */
  counts(): Readonly<Record<'owned' | 'shared' | 'forks', number>> {
    let shared = 0;
    let forks = 0;
    for (const object of this.#objects.values()) {
      let others = 0;
      for (const holder of object.forks.values()) if (holder !== this.#self) others++;
      if (others > 0) shared++;
      forks += others;
    }
    return { owned: this.#objects.size, shared, forks };
  }

  /** Ranks of all who hold something, or whose creation is waited for. */
  holders(): Set<number> {
    const ranks = new Set<number>();
    for (const [id, object] of this.#objects) {
      if (!isDecided(object)) ranks.add(makerOf(id));
      for (const rank of object.forks.values()) ranks.add(rank);
    }
    return ranks;
  }

  /** Whether it is known what became of the creation. */
  isDecided(id: RRefId): boolean {
    return isDecided(this.#objects.get(id));
  }

  /**
   * The creation has come, asked for by the holder of `fork`. False: nobody wants it any more.
   *
   * @throws GradwireError `protocol_error` if the names are not of the holder's own giving, or came before
   */
  create(id: RRefId, fork: ForkId, holder: number): boolean {
    const isOwn = makerOf(id) === holder && makerOf(fork) === holder;
    if (!isOwn || this.#objects.get(id)?.isCreated) throw forged(`the creation of ${id}`);
    if (this.#isFreed(id)) return false;
    const refusal = this.#refusal(holder);
    if (refusal !== undefined) {
      // Who asks for the object hears so, and does not wait for it.
      const waited = this.#objects.get(id);
      if (waited === undefined) this.#freed.add(id);
      else if (!isDecided(waited)) this.#fail(id, waited);
      throw refusal;
    }
    const object = this.#object(id);
    if (object.isFailed) return false;
    object.isCreated = true;
    this.#keep(object, fork, holder);
    return true;
  }

  /**
   * The creation failed, as far as the holder of `fork`, who asked for it, knows. One that has not come will not be made;
   * until its copies are dropped it is there as one that failed.
   */
  fail(id: RRefId, fork: ForkId, holder: number): void {
    if (makerOf(id) !== holder || makerOf(fork) !== holder || this.#isFreed(id)) return;
    const object = this.#object(id);
    if (isDecided(object)) return;
    // A copy of the owner itself is counted for as long as it is there.
    if (holder !== this.#self) this.#keep(object, fork, holder);
    this.#fail(id, object);
  }

  /** Keeps the object, whether or not it is there yet. False: it has been freed. */
  borrow(id: RRefId): boolean {
    if (this.#isFreed(id)) return false;
    this.#object(id).uses++;
    return true;
  }

  giveBack(id: RRefId): void {
    const object = this.#objects.get(id);
    if (object === undefined) return;
    object.uses--;
    this.#freeIfUnheld(id, object);
  }

  /** Counts a copy that this worker itself has made. */
  hold(id: RRefId, fork: ForkId, holder: number): void {
    this.#keep(this.#object(id), fork, holder);
  }

  /** Counts a copy that its holder asks for. False: the object has been freed, or the copy is another's. */
  count(id: RRefId, fork: ForkId, holder: number): boolean {
    if (this.#isFreed(id)) return false;
    // What this worker itself passes on is counted already.
    const known = this.#objects.get(id)?.forks.get(fork);
    if (known !== undefined ? known !== holder : makerOf(fork) === this.#self) return false;
    if (this.#refusal(holder) !== undefined) return false;
    this.#keep(this.#object(id), fork, holder);
    return true;
  }

  /** A copy, made by `maker`, has come home. False: the object has been freed. */
  take(id: RRefId, fork: ForkId, maker: number): boolean {
    if (maker !== this.#self) return this.count(id, fork, this.#self);
    return this.#objects.get(id)?.forks.has(fork) ?? false;
  }

  drop(id: RRefId, fork: ForkId, holder: number): void {
    const object = this.#objects.get(id);
    if (object?.forks.get(fork) === holder) {
      this.#forget(object, fork);
      return this.#freeIfUnheld(id, object);
    }
    // Of all copies only the creator's can be unknown: its creation, which nobody waits for any more, has not come.
    if (makerOf(id) !== holder || isDecided(object) || this.#freed.has(id)) return;
    if (object === undefined) this.#freed.add(id);
    else {
      this.#fail(id, object);
      this.#freeIfUnheld(id, object);
    }
  }

  /** A worker is gone with all that it held, and with all that it would have made. */
  dropHolder(rank: number): void {
    for (const [id, object] of this.#objects) {
      for (const [fork, holder] of object.forks) if (holder === rank) this.#forget(object, fork);
      if (!isDecided(object) && makerOf(id) === rank) this.#fail(id, object);
      this.#freeIfUnheld(id, object);
    }
  }

  #refusal(holder: number): Error | undefined {
    if (holder === this.#self) return undefined;
    return this.#effects.refusal?.(holder, this.#copies.get(holder) ?? 0);
  }

  #keep({ forks }: Held, fork: ForkId, holder: number): void {
    if (!forks.has(fork)) this.#copies.set(holder, (this.#copies.get(holder) ?? 0) + 1);
    forks.set(fork, holder);
  }

  #forget({ forks }: Held, fork: ForkId): void {
    const holder = forks.get(fork);
    if (holder === undefined) return;
    forks.delete(fork);
    const left = (this.#copies.get(holder) ?? 1) - 1;
    if (left === 0) this.#copies.delete(holder);
    else this.#copies.set(holder, left);
  }

  /** A creation that comes nevertheless is refused. */
  #fail(id: RRefId, object: Held): void {
    object.isFailed = true;
    this.#effects.fail(id);
  }

  /**
   * Whether nothing will be there any more. What this worker itself named was there at once. Of a maker that is gone nothing
   * comes: without the look at it the lease would end the wait, but not for a rank that was given again meanwhile.
   */
  #isFreed(id: RRefId): boolean {
    if (this.#freed.has(id)) return true;
    return !this.#objects.has(id) && (makerOf(id) === this.#self || this.#isMakerGone(id));
  }

  #object(id: RRefId): Held {
    const known = this.#objects.get(id);
    if (known !== undefined) return known;
    const object: Held = { forks: new Map(), uses: 0, isCreated: false, isFailed: false };
    this.#objects.set(id, object);
    return object;
  }

  #freeIfUnheld(id: RRefId, object: Held): void {
    if (object.forks.size + object.uses > 0) return;
    this.#objects.delete(id);
    if (isDecided(object)) this.#freed.add(id);
    this.#effects.free(id);
  }
}

/** Whether it is known what became of the creation. */
function isDecided(object: Held | undefined): boolean {
  return object !== undefined && (object.isCreated || object.isFailed);
}

function forged(what: string): GradwireError {
  return new GradwireError('protocol_error', `${what} has names that its sender did not give`);
}
