/**
 * A queue from which entries can be taken out anywhere: first in, first out, constant time each. What is taken out only
 * gets a mark, of which the queue is told, and is skipped. Pure.
 */

/** Dead entries and free places that are not worth tidying up for. */
const SLACK = 64;

export class Queue<T> {
  readonly #isDead: (entry: T) => boolean;
  #entries: (T | undefined)[] = [];
  #head = 0;
  #dead = 0;

  /** @param isDead whether an entry was taken out */
  constructor(isDead: (entry: T) => boolean = () => false) {
    this.#isDead = isDead;
  }

  /** How many are in it, without those that were taken out. */
  get length(): number {
    return this.#entries.length - this.#head - this.#dead;
  }

  push(entry: T): void {
    this.#entries.push(entry);
  }

  /** The first, which stays. */
  peek(): T | undefined {
    for (;;) {
      const entry = this.#entries[this.#head];
      if (entry === undefined || !this.#isDead(entry)) return entry;
      this.#dead--;
      this.#advance();
    }
  }

  /** The first, which leaves. */
  shift(): T | undefined {
    const entry = this.peek();
    if (entry !== undefined) this.#advance();
    return entry;
  }

  /** An entry of the queue was marked dead. */
  died(): void {
    this.#dead++;
    if (this.#dead > SLACK && this.#dead > this.length) this.#tidy();
  }

  /** Those in it, first to last. */
  all(): T[] {
    this.#tidy();
    return this.#entries as T[];
  }

  clear(): void {
    this.#entries = [];
    this.#head = 0;
    this.#dead = 0;
  }

  #advance(): void {
    this.#entries[this.#head] = undefined;
    this.#head++;
    if (this.#head === this.#entries.length) this.clear();
    else if (this.#head > SLACK && this.#head * 2 > this.#entries.length) this.#tidy();
  }

  #tidy(): void {
    const living = this.#entries
      .slice(this.#head)
      .filter((entry) => entry !== undefined && !this.#isDead(entry));
    this.clear();
    this.#entries = living;
  }
}
