/** Choices by seed: the same seed and number of an input always give the same input. */
import { randomFrom } from '../support/random.ts';

export class Dice {
  readonly #next: () => number;

  /** @param input number of the input that the choices are for */
  constructor(seed: number, input: number) {
    this.#next = randomFrom(Math.imul(seed, 0x9e37_79b1) ^ Math.imul(input + 1, 0x85eb_ca6b));
  }

  /** A whole number below `limit`. */
  below(limit: number): number {
    return Math.floor(this.#next() * limit);
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }

  /** True in that share of the cases. */
  chance(share: number): boolean {
    return this.#next() < share;
  }
}
