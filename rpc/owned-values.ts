/** What the objects of one owner are: their values, made or still being made. Who holds them is not known here. */
import { GradwireError } from '../errors.ts';
import type { Deadlines } from './deadlines.ts';
import { Holds, type Made } from './holds.ts';
import { quietly } from './quietly.ts';
import type { RRefId } from './reference-ids.ts';

/** What a finished creation leaves behind. */
export type Outcome = Made | { readonly error: Error };

/** A request that waits for a creation to arrive. */
interface Waiting {
  /** Rank of the worker that waits. */
  readonly asker: number;
  tell(): void;
  giveUp(): void;
}

interface Owned {
  readonly value: Promise<unknown>;
  readonly settle: (outcome: Outcome) => void;
  readonly onCreated: Set<Waiting>;
  /** Whether the creation has arrived; it may still be running. */
  isCreated: boolean;
  made: Made | undefined;
}

export class OwnedValues {
  readonly #deadlines: Deadlines;
  readonly #owned = new Map<RRefId, Owned>();
  readonly #holds = new Holds();
  #isClosed = false;

  constructor(deadlines: Deadlines) {
    this.#deadlines = deadlines;
  }

  /** The creation has come: to be settled when it is done. */
  create(id: RRefId): (outcome: Outcome) => void {
    const owned = this.#entry(id);
    owned.isCreated = true;
    for (const { tell } of owned.onCreated) tell();
    return owned.settle;
  }

  /**
   * The object, when it is there.
   *
   * @param timeoutMs how long to wait for a creation that has not come
   * @param asker rank of the worker that waits: if it goes, nobody does
   * @throws GradwireError (as rejection) `unknown_rref`, or what the creation failed with
   */
  async get(id: RRefId, timeoutMs: number, asker: number): Promise<unknown> {
    const owned = this.#entry(id);
    if (!owned.isCreated) await this.#creation(owned, { id, timeoutMs, asker });
    return await owned.value;
  }

  /** A worker is gone, and waits for nothing. */
  askerGone(rank: number): void {
    for (const { onCreated } of this.#owned.values()) {
      for (const { asker, giveUp } of onCreated) if (asker === rank) giveUp();
    }
  }

  /** Nothing will come of the object any more. */
  abandon(id: RRefId, error: Error): void {
    const owned = this.#owned.get(id);
    owned?.settle({ error });
    for (const { tell } of owned?.onCreated ?? []) tell();
  }

  /** Frees the object; one that is still being made, when it is there. */
  free(id: RRefId): void {
    const owned = this.#owned.get(id);
    this.#owned.delete(id);
    if (owned?.made !== undefined) this.#holds.drop(owned.made);
  }

  /** Frees all; whoever waits gets `error`. */
  close(error: Error): void {
    this.#isClosed = true;
    for (const id of [...this.#owned.keys()]) {
      this.abandon(id, error);
      this.free(id);
    }
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
    };
    const onCreated = new Set<Waiting>();
    const owned: Owned = { value, settle, onCreated, isCreated: false, made: undefined };
    if (!this.#isClosed) this.#owned.set(id, owned);
    return owned;
  }

  #creation(
    { onCreated }: Owned,
    { id, timeoutMs, asker }: { id: RRefId; timeoutMs: number; asker: number },
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        deadline.cancel();
        onCreated.delete(waiting);
      };
      const waiting: Waiting = {
        asker,
        tell: () => {
          end();
          resolve();
        },
        giveUp: () => {
          end();
          reject(new GradwireError('unknown_rref', `no object was made for reference ${id}`));
        },
      };
      const deadline = this.#deadlines.add(timeoutMs, waiting.giveUp);
      onCreated.add(waiting);
    });
  }
}
