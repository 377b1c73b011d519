/** Numbers and choices from a seed. */
// Under Jest each look-up of a global is slow.
const { floor, imul } = Math;

export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = (imul(seed, 0x9e3779b1) ^ 0x5bd1e995) >>> 0;
  }

  /** In [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = imul(t ^ (t >>> 15), t | 1);
    t ^= t + imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  below(n: number): number {
    return floor(this.next() * n);
  }

  chance(p: number): boolean {
    return this.next() < p;
  }

  pick<T>(items: readonly T[]): T | undefined {
    return items[this.below(items.length)];
  }
}
