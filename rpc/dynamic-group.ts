/** Rank 0's end of a dynamic group: the book (coordinator.ts) with those who wait for its answers, and its timers. */
import { GradwireError } from '../errors.ts';
import { Coordinator, type CoordinatorEvent } from './coordinator.ts';
import { duration } from './duration.ts';
import type { Change } from './roster.ts';
import type { Candidate, Member, Rendezvous } from './transport.ts';

/** How long a place is kept for a worker that was admitted and does not connect: it has died, or cannot reach rank 0. */
const RESERVE_MS = 5_000;

interface Waiting {
  admit(): void;
  refuse(error: Error): void;
}

export class DynamicGroup implements Rendezvous {
  /** Told of every change. */
  onChange: (change: Change) => void = () => {};
  readonly #book = new Coordinator();
  readonly #waiting = new Map<string, Waiting>();
  readonly #lapses = new Map<string, NodeJS.Timeout>();
  #open: (master: Member) => void = () => {};
  /** Rank 0 itself: those who are faster than it wait. */
  readonly #master: Promise<Member> = new Promise((resolve) => {
    this.#open = resolve;
  });

  /** All that a newcomer has to know. */
  get snapshot(): Change {
    return this.#book.snapshot;
  }

  /** Names of the members other than rank 0. */
  get others(): readonly string[] {
    return this.#book.others;
  }

  async join(candidate: Candidate): Promise<readonly Member[]> {
    const { name, rank, address, incarnation, liveness } = candidate;
    const self = { name, rank, address, incarnation, liveness };
    if (rank === 0) this.#open(self);
    const master = await this.#master;
    await new Promise<void>((resolve, reject) => {
      this.#waiting.get(incarnation)?.refuse(new GradwireError('cancelled', 'joined again'));
      this.#waiting.set(incarnation, { admit: resolve, refuse: reject });
      this.#step({ type: 'ask', candidate });
    });
    // Rank 0 needs no connection to itself.
    if (incarnation === master.incarnation) this.connected(incarnation);
    return [master];
  }

  expire(rank: number, incarnation: string, timeoutMs: number): void {
    const message = `waited ${duration(timeoutMs)} for rank ${rank}, or the name, of a worker that was leaving`;
    this.#giveUp(incarnation, new GradwireError('init_timeout', message, { stage: 'init' }));
  }

  leave(rank: number, incarnation: string): void {
    const message = `rank ${rank} went away before it had joined`;
    this.#giveUp(incarnation, new GradwireError('cancelled', message));
  }

  close(): void {
    for (const timer of this.#lapses.values()) clearTimeout(timer);
    this.#lapses.clear();
    this.#step({ type: 'close' });
  }

  /** Whether a connection of this worker is awaited. */
  isExpected(rank: number, incarnation: string): boolean {
    return this.#book.isExpected(rank, incarnation);
  }

  /** A worker that was admitted has connected to rank 0. */
  connected(incarnation: string): void {
    this.#keep(incarnation);
    this.#step({ type: 'connected', incarnation });
  }

  /** A member finishes its work and takes no new one. */
  leaving(incarnation: string): void {
    this.#step({ type: 'leaving', incarnation });
  }

  /** A member's connection to rank 0 is over. */
  gone(incarnation: string, isFarewell: boolean): void {
    this.#step({ type: 'gone', incarnation, isFarewell });
  }

  #giveUp(incarnation: string, error: GradwireError): void {
    const waiting = this.#waiting.get(incarnation);
    // Who has its answer waits for nothing here.
    if (waiting === undefined) return;
    this.#waiting.delete(incarnation);
    this.#step({ type: 'forget', incarnation });
    waiting.refuse(error);
  }

  #step(event: CoordinatorEvent): void {
    for (const effect of this.#book.step(event)) {
      if (effect.type === 'change') {
        this.onChange(effect.change);
        continue;
      }
      const { incarnation } = effect;
      const waiting = this.#waiting.get(incarnation);
      this.#waiting.delete(incarnation);
      if (effect.type === 'refuse') {
        waiting?.refuse(effect.error);
        continue;
      }
      this.#reserve(incarnation);
      waiting?.admit();
    }
  }

  #reserve(incarnation: string): void {
    this.#keep(incarnation);
    const lapse = (): void => {
      this.#lapses.delete(incarnation);
      this.#step({ type: 'forget', incarnation });
    };
    this.#lapses.set(incarnation, setTimeout(lapse, RESERVE_MS));
  }

  /** The place is no longer given to others by time. */
  #keep(incarnation: string): void {
    clearTimeout(this.#lapses.get(incarnation));
    this.#lapses.delete(incarnation);
  }
}
