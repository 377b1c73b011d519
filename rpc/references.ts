/**
 * The references of one worker: the objects it owns and who holds them, and the references to others' objects that it
 * holds. Every copy of a reference on another worker is a fork with an id of its own; the object is freed when the last
 * fork is gone.
 *
 * Why no acknowledgements: messages of a pair arrive in order. A worker that passes a reference on tells the owner so
 * (`fork`) before it could tell it that its own copy is gone (`drop`), so the owner never sees the count at zero in
 * between; should the new holder's `drop` be faster than that `fork`, the owner remembers it. Carries guarantee G6.
 */
import { GradwireError } from '../errors.ts';
import { freeStored } from '../tensor/index.ts';
import { BoundedSet } from './bounded-set.ts';

export type RRefId = string & { readonly __brand: 'RRefId' };
export type ForkId = string & { readonly __brand: 'ForkId' };

/** How long a request for an object waits for its creation, which another worker has asked for, to arrive. */
const CREATION_GRACE_MS = 5_000;
const REMEMBERED = 10_000;

interface Owned {
  readonly id: RRefId;
  readonly value: Promise<unknown>;
  /** Holders by fork; a fork of this worker itself counts too. */
  readonly forks: Map<ForkId, number>;
  /** Forks that were dropped before they were announced. */
  readonly dropped: Set<ForkId>;
  readonly settle: (outcome: Outcome) => void;
  hold: Hold | undefined;
}

/** What a finished creation leaves behind. */
export type Outcome = Made | { readonly error: Error };

export interface Made {
  readonly value: unknown;
  /** Frees what the creation made. */
  readonly free: () => void;
}

/** What an object's creation made; shared by all references to one object. */
interface Hold {
  readonly value: unknown;
  count: number;
  readonly free: (() => void)[];
}

export class References {
  readonly #self: number;
  readonly #owned = new Map<RRefId, Owned>();
  readonly #gone = new BoundedSet<RRefId>(REMEMBERED);
  readonly #holds = new Map<unknown, Hold>();
  readonly #copies = new Map<ForkId, { id: RRefId; owner: number }>();
  #next = 1;

  /** @param self rank of the worker */
  constructor(self: number) {
    this.#self = self;
  }

  get ownedCount(): number {
    return this.#owned.size;
  }

  get copyCount(): number {
    return this.#copies.size;
  }

  newId(): RRefId {
    return `${this.#self}.${this.#next++}` as RRefId;
  }

  newForkId(): ForkId {
    return `${this.#self}.${this.#next++}` as ForkId;
  }

  // The owner's side.

  /** An object of this worker, to be settled when it is there. */
  create(id: RRefId): (outcome: Outcome) => void {
    return this.#entry(id).settle;
  }

  addFork(id: RRefId, fork: ForkId, holder: number): void {
    const owned = this.#entry(id);
    if (!owned.dropped.delete(fork)) owned.forks.set(fork, holder);
    else this.#freeIfUnheld(owned);
  }

  dropFork(id: RRefId, fork: ForkId): void {
    const owned = this.#owned.get(id);
    if (owned === undefined) return;
    if (!owned.forks.delete(fork)) owned.dropped.add(fork);
    this.#freeIfUnheld(owned);
  }

  /** A worker is gone with all that it held. */
  dropHolder(holder: number): void {
    for (const owned of this.#owned.values()) {
      for (const [fork, rank] of owned.forks) if (rank === holder) owned.forks.delete(fork);
      this.#freeIfUnheld(owned);
    }
  }

  /**
   * The object, when it is there. Waits a bounded time for a creation that has not arrived yet.
   * @throws GradwireError `unknown_rref`, or what the creation failed with
   */
  async value(id: RRefId): Promise<unknown> {
    const owned = this.#owned.get(id);
    if (owned !== undefined) return owned.value;
    if (this.#gone.has(id)) {
      throw new GradwireError('unknown_rref', `the object of reference ${id} has been freed`);
    }
    const expected = this.#entry(id);
    const timer = setTimeout(() => {
      const message = `no object was made for reference ${id}`;
      expected.settle({ error: new GradwireError('unknown_rref', message) });
      this.#free(expected);
    }, CREATION_GRACE_MS);
    return expected.value.finally(() => clearTimeout(timer));
  }

  // The user's side.

  addCopy(id: RRefId, fork: ForkId, owner: number): void {
    this.#copies.set(fork, { id, owner });
  }

  /** Forgets a copy; true if it was still held, and then the owner must be told. */
  dropCopy(fork: ForkId): boolean {
    return this.#copies.delete(fork);
  }

  /** All copies that are still held, by fork. */
  copies(): ReadonlyMap<ForkId, { readonly id: RRefId; readonly owner: number }> {
    return this.#copies;
  }

  /** Frees everything: the worker is shutting down. */
  close(): void {
    for (const owned of this.#owned.values()) {
      owned.settle({
        error: new GradwireError('shut_down', 'the owner of the reference shut down'),
      });
      this.#free(owned);
    }
    this.#copies.clear();
  }

  #entry(id: RRefId): Owned {
    const known = this.#owned.get(id);
    if (known !== undefined) return known;
    let resolve: (value: unknown) => void = () => {};
    let reject: (error: Error) => void = () => {};
    const value = new Promise((yes, no) => {
      resolve = yes;
      reject = no;
    });
    // Who asks gets the error; that nobody asks is no fault.
    value.catch(() => {});
    let isSettled = false;
    const settle = (outcome: Outcome): void => {
      if (isSettled) return;
      isSettled = true;
      if ('error' in outcome) return reject(outcome.error);
      owned.hold = this.#hold(outcome);
      resolve(outcome.value);
      if (!this.#owned.has(id)) this.#release(owned);
    };
    const owned: Owned = {
      id,
      value,
      forks: new Map(),
      dropped: new Set(),
      settle,
      hold: undefined,
    };
    this.#owned.set(id, owned);
    return owned;
  }

  #hold({ value, free }: Made): Hold {
    const hold = this.#holds.get(value) ?? { value, count: 0, free: [] };
    hold.count++;
    hold.free.push(free);
    if (typeof value === 'object' && value !== null) this.#holds.set(value, hold);
    return hold;
  }

  #freeIfUnheld(owned: Owned): void {
    if (owned.forks.size === 0 && owned.dropped.size === 0) this.#free(owned);
  }

  #free(owned: Owned): void {
    if (!this.#owned.delete(owned.id)) return;
    this.#gone.add(owned.id);
    this.#release(owned);
  }

  /** Frees what the creation made, with the last reference to the object. */
  #release({ hold }: Owned): void {
    if (hold === undefined || --hold.count > 0) return;
    this.#holds.delete(hold.value);
    for (const free of hold.free) free();
    if (typeof hold.value === 'object' && hold.value !== null) freeStored(hold.value);
  }
}
