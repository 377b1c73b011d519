/**
 * Messages that are on their way for longer than others. What must not overtake another one waits behind it. Pure: the clock
 * is an argument.
 */

interface Delayed<T> {
  readonly item: T;
  readonly keys: readonly string[];
  readonly dueAt: number;
}

export class DelayLine<T> {
  #waiting: Delayed<T>[] = [];

  /** When the next is due; Infinity: none waits. */
  get dueAt(): number {
    return this.#waiting.reduce((least, { dueAt }) => Math.min(least, dueAt), Infinity);
  }

  /**
   * @param keys what the item is about: it comes after the earlier ones that share one of them
   * @param dueAt when it is due by itself
   */
  push(item: T, keys: readonly string[], dueAt: number): void {
    const earlier = this.#waiting.filter((other) => other.keys.some((key) => keys.includes(key)));
    const latest = earlier.reduce((most, other) => Math.max(most, other.dueAt), dueAt);
    this.#waiting.push({ item, keys, dueAt: latest });
  }

  /** Whether something waits that an item of these keys must not overtake. */
  isBehind(keys: readonly string[]): boolean {
    return this.#waiting.some((other) => other.keys.some((key) => keys.includes(key)));
  }

  /** What is due, in order. */
  take(now: number): readonly T[] {
    const due = this.#waiting.filter(({ dueAt }) => dueAt <= now);
    this.#waiting = this.#waiting.filter(({ dueAt }) => dueAt > now);
    // Sorting is stable: of two that are due at once the earlier stays first.
    return due.sort((a, b) => a.dueAt - b.dueAt).map(({ item }) => item);
  }
}
