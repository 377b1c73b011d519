/**
 * Seeded random numbers for the examples: the generator sfc32 behind named streams. A stream is fixed by its seed and
 * labels alone, so the same step draws the same numbers whatever was drawn before it. Not for secrets.
 */

/** What tells two streams of one seed apart: a purpose, a rank, an epoch, a step. */
export type Label = string | number;

/** One stream of random numbers, the same on every machine for the same seed and labels. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;
  readonly #seed: number;
  readonly #labels: readonly Label[];

  constructor(seed: number, ...labels: Label[]) {
    this.#seed = seed;
    this.#labels = labels;
    const name = [seed, ...labels].map(labelText).join('');
    this.#a = hash(name, 0x9e3779b9);
    this.#b = hash(name, 0x243f6a88);
    this.#c = hash(name, 0xb7e15162);
    for (let i = 0; i < 12; i++) this.next();
  }

  /** A stream of the same seed with more labels; it does not depend on what was drawn from this one. */
  derive(...labels: Label[]): Random {
    return new Random(this.#seed, ...this.#labels, ...labels);
  }

  /** 32 random bits, as an integer in [0, 2^32). */
  next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** A number in [low, high). */
  uniform(low = 0, high = 1): number {
    return low + (this.next() / 0x1_0000_0000) * (high - low);
  }

  /** A number from the normal distribution. */
  normal(mean = 0, std = 1): number {
    // 1 - u lies in (0, 1]: the logarithm stays finite.
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return mean + std * radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** An integer in [0, below). */
  int(below: number): number {
    return Math.floor(this.uniform() * below);
  }

  /** Shuffles in place (Fisher and Yates), and gives the same array back. */
  shuffle<A extends { [index: number]: T; readonly length: number }, T = A[number]>(items: A): A {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.int(i + 1);
      const held = items[i] as A[number];
      items[i] = items[j] as A[number];
      items[j] = held;
    }
    return items;
  }
}

/** The label with its type and length, so that no two lists of labels give the same text. */
function labelText(label: Label): string {
  const text = String(label);
  return `${typeof label === 'number' ? 'n' : 's'}${text.length}:${text}`;
}

/** 32 bits of a text: FNV-1a with the finalizer of MurmurHash3. */
function hash(text: string, basis: number): number {
  let h = basis;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
