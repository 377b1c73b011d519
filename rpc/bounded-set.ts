/** A set that forgets its oldest entries beyond a limit: for remembering what is over. */
export class BoundedSet<T> {
  readonly #limit: number;
  readonly #entries = new Set<T>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(entry: T): void {
    this.#entries.add(entry);
    if (this.#entries.size <= this.#limit) return;
    for (const oldest of this.#entries) {
      this.#entries.delete(oldest);
      return;
    }
  }

  /** @returns whether it was there */
  delete(entry: T): boolean {
    return this.#entries.delete(entry);
  }

  has(entry: T): boolean {
    return this.#entries.has(entry);
  }
}
