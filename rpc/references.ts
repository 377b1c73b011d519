/**
 * The references of one worker: the objects it owns and who holds them, and the references to others' objects that it
 * holds. Every copy of a reference on a worker is a fork with an id of its own, which begins with the rank of the worker
 * that made it; the object is freed when the last fork is gone and nobody uses it.
 *
 * Why no acknowledgements: messages of a pair arrive in order. A worker that passes a reference on tells the owner so
 * (`fork`) before it could tell it that its own copy is gone (`drop`), so the owner never sees the count at zero in
 * between; should the new holder's `drop` be faster than that `fork`, the owner remembers it. Carries guarantee G6.
 */
import { GradwireError } from '../errors.ts';
import { BoundedSet } from './bounded-set.ts';
import { Deadlines } from './deadlines.ts';
import { Holds, type Made } from './holds.ts';
import { quietly } from './quietly.ts';

export type RRefId = string & { readonly __brand: 'RRefId' };
export type ForkId = string & { readonly __brand: 'ForkId' };

const REMEMBERED = 10_000;

/** What a finished creation leaves behind. */
export type Outcome = Made | { readonly error: Error };

interface Owned {
  readonly id: RRefId;
  readonly value: Promise<unknown>;
  /** Holders by fork; a fork of this worker itself counts too. */
  readonly forks: Map<ForkId, number>;
  /** Forks that were dropped before they were announced. */
  readonly dropped: Set<ForkId>;
  readonly settle: (outcome: Outcome) => void;
  /** Requests that wait for the creation to arrive. */
  readonly onCreated: Set<() => void>;
  /** Whether the creation has arrived; it may still be running. */
  isCreated: boolean;
  /** Requests that work with the object. */
  uses: number;
  made: Made | undefined;
}

export class References {
  readonly #self: number;
  readonly #owned = new Map<RRefId, Owned>();
  /** Objects that were there and have been freed. */
  readonly #freed = new BoundedSet<RRefId>(REMEMBERED);
  readonly #holds = new Holds();
  readonly #copies = new Map<ForkId, { id: RRefId; owner: number }>();
  readonly #departed = new Set<number>();
  readonly #deadlines = new Deadlines();
  #next: number;
  #isClosed = false;

  /**
   * @param self rank of the worker
   * @param firstId where its ids begin: those of another worker that had this rank before must not come again
   */
  constructor(self: number, firstId = 1) {
    this.#self = self;
    this.#next = firstId;
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
    const owned = this.#entry(id);
    owned.isCreated = true;
    for (const tell of owned.onCreated) tell();
    return owned.settle;
  }

  addFork(id: RRefId, fork: ForkId, holder: number): void {
    if (this.#freed.has(id)) return;
    const owned = this.#entry(id);
    if (!owned.dropped.delete(fork)) owned.forks.set(fork, holder);
    else this.#freeIfUnheld(owned);
  }

  /** @param from rank of the worker that says so */
  dropFork(id: RRefId, fork: ForkId, from: number): void {
    const owned = this.#owned.get(id);
    if (owned?.forks.delete(fork)) return this.#freeIfUnheld(owned);
    const maker = makerOf(fork);
    // The maker's announcement would have come before its own drop, ours are known at once, the dead announce nothing.
    const mayStillCome = maker !== from && maker !== this.#self && !this.#departed.has(maker);
    if (mayStillCome && !this.#freed.has(id)) this.#entry(id).dropped.add(fork);
  }

  /** A worker is gone with all that it held, and with all that it would have announced. */
  dropHolder(holder: number): void {
    this.#departed.add(holder);
    for (const owned of this.#owned.values()) {
      for (const [fork, rank] of owned.forks) if (rank === holder) owned.forks.delete(fork);
      for (const fork of owned.dropped) if (makerOf(fork) === holder) owned.dropped.delete(fork);
      if (owned.isCreated) this.#freeIfUnheld(owned);
      else if (makerOf(owned.id) === holder) this.#abandon(owned);
    }
  }

  /** A worker has come, perhaps with the rank of one that is gone: what it announces counts. */
  addHolder(holder: number): void {
    this.#departed.delete(holder);
  }

  /** Keeps the object, whether or not it is there yet, until the result is called. */
  borrow(id: RRefId): () => void {
    if (this.#freed.has(id)) return () => {};
    const owned = this.#entry(id);
    owned.uses++;
    return () => {
      owned.uses--;
      this.#freeIfUnheld(owned);
    };
  }

  /**
   * The object, when it is there; who works with it longer must borrow it.
   *
   * @param timeoutMs how long to wait for a creation that another worker has asked for and that has not arrived: as long
   * as whoever asks for the object waits for it
   * @throws GradwireError `unknown_rref`, or what the creation failed with
   */
  async value(id: RRefId, timeoutMs: number): Promise<unknown> {
    if (this.#isClosed) throw closed();
    if (this.#freed.has(id)) {
      throw new GradwireError('unknown_rref', `the object of reference ${id} has been freed`);
    }
    const giveBack = this.borrow(id);
    try {
      const owned = this.#entry(id);
      if (!owned.isCreated) await this.#creation(owned, timeoutMs);
      return await owned.value;
    } finally {
      giveBack();
    }
  }

  // The user's side.

  addCopy(id: RRefId, fork: ForkId, owner: number): void {
    if (!this.#isClosed) this.#copies.set(fork, { id, owner });
  }

  /** Forgets a copy; true if it was still held, and then the owner must be told. */
  dropCopy(fork: ForkId): boolean {
    return this.#copies.delete(fork);
  }

  /** Frees everything: the worker is shutting down. What is still being made is freed when it is there. */
  close(): void {
    this.#isClosed = true;
    this.#deadlines.close();
    for (const owned of this.#owned.values()) this.#abandon(owned, closed());
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
      if (isSettled) {
        if ('free' in outcome) quietly('freeing', outcome.free);
        return;
      }
      isSettled = true;
      if ('error' in outcome) return reject(outcome.error);
      owned.made = outcome;
      this.#holds.add(outcome);
      resolve(outcome.value);
      if (this.#owned.get(id) !== owned) this.#holds.drop(outcome);
      else this.#freeIfUnheld(owned);
    };
    const owned: Owned = {
      id,
      value,
      forks: new Map(),
      dropped: new Set(),
      settle,
      onCreated: new Set(),
      isCreated: false,
      uses: 0,
      made: undefined,
    };
    if (!this.#isClosed) this.#owned.set(id, owned);
    return owned;
  }

  #creation(owned: Owned, timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const expire = (): void => {
        owned.onCreated.delete(tell);
        const message = `no object was made for reference ${owned.id}`;
        reject(new GradwireError('unknown_rref', message));
      };
      const deadline = this.#deadlines.add(timeoutMs, expire);
      const tell = (): void => {
        deadline.cancel();
        owned.onCreated.delete(tell);
        resolve();
      };
      owned.onCreated.add(tell);
    });
  }

  /** Nothing will come of the object any more. */
  #abandon(owned: Owned, error = new GradwireError('unknown_rref', 'its maker is gone')): void {
    owned.settle({ error });
    for (const tell of owned.onCreated) tell();
    this.#free(owned);
  }

  #freeIfUnheld(owned: Owned): void {
    const { forks, dropped, uses } = owned;
    if (forks.size + dropped.size + uses === 0) this.#free(owned);
  }

  #free(owned: Owned): void {
    if (this.#owned.get(owned.id) !== owned) return;
    this.#owned.delete(owned.id);
    if (owned.isCreated) this.#freed.add(owned.id);
    if (owned.made !== undefined) this.#holds.drop(owned.made);
  }
}

function closed(): GradwireError {
  return new GradwireError('shut_down', 'the owner of the reference shut down');
}

/** Rank of the worker that made an id. */
function makerOf(id: RRefId | ForkId): number {
  return Number.parseInt(id, 10);
}
