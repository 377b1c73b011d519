/**
 * Reads test/parity/optim.json and draws what it does not store: start values and gradients, by the generator that
 * test/parity/optim.py describes.
 */
import { readFileSync } from 'node:fs';
import type { Gradients, Optimizer } from '../../optim/rule.ts';
import { SparseSlices, tf } from '../../tensor/index.ts';

type Kind = 'dense' | 'sparse';

export interface GoldenCase {
  readonly kind: Kind;
  /** Name of the class. */
  readonly optimizer: string;
  readonly options: object;
  /** Options of two groups; the first has the first two parameters. */
  readonly groups?: readonly [object, object];
  /** Values of all parameters after the step of that number. */
  readonly at: Readonly<Record<string, readonly number[][]>>;
  /** State tensors of all parameters after the last step. */
  readonly state: readonly Readonly<Record<string, readonly number[]>>[];
}

interface GoldenFile {
  readonly seed: number;
  readonly shapes: Readonly<Record<Kind, readonly number[][]>>;
  readonly rows: number;
  readonly cases: readonly GoldenCase[];
}

// From dist/test/support up to the root of the repository: the compiler does not copy JSON.
const path = new URL('../../../test/parity/optim.json', import.meta.url);

export const golden: GoldenFile = JSON.parse(readFileSync(path, 'utf8'));

/** What a test is called after. */
export function titleOf({ optimizer, kind, options, groups }: GoldenCase): string {
  const all = groups === undefined ? [options] : [options, ...groups];
  return `${optimizer}, ${kind}, ${all.map((each) => JSON.stringify(each)).join(' ')}`;
}

/** The generator; what it makes is the caller's. */
export class Draw {
  #x = golden.seed;

  tensor(shape: number[]): tf.Tensor {
    return tf.tensor(this.#values(tf.util.sizeFromShape(shape)), shape, 'float32');
  }

  slices(shape: number[]): SparseSlices {
    const [count = 0, ...rest] = shape;
    const numbers = this.#values(golden.rows).map((value) => Math.floor(((value + 1) / 2) * count));
    const contents = this.tensor([golden.rows, ...rest]);
    return new SparseSlices(tf.tensor1d(Int32Array.from(numbers), 'int32'), contents, shape);
  }

  #values(length: number): Float32Array {
    return Float32Array.from({ length }, () => {
      this.#x = (Math.imul(1664525, this.#x) + 1013904223) >>> 0;
      return (this.#x >>> 8) / 2 ** 23 - 1;
    });
  }
}

/** A run of a case: its own parameters and gradients, stepped as far as asked. */
export class GoldenRun {
  readonly parameters: readonly tf.Variable[];
  readonly #kind: Kind;
  readonly #draw = new Draw();
  #done = 0;

  constructor(kind: Kind) {
    this.#kind = kind;
    this.parameters = golden.shapes[kind].map((shape) =>
      tf.tidy(() => tf.variable(this.#draw.tensor(shape))),
    );
  }

  stepTo(last: number, optimizer: Optimizer): void {
    while (this.#done < last) {
      this.#done += 1;
      const gradients = this.parameters.map(({ shape }) =>
        this.#kind === 'dense' ? this.#draw.tensor(shape) : this.#draw.slices(shape),
      );
      const entries = gradients
        .map((gradient, index) => [this.parameters[index] as tf.Tensor, gradient] as const)
        .filter((_, index) => index !== 1 || this.#done % 7 !== 0);
      const map: Gradients = new Map(entries);
      optimizer.step(map);
      for (const gradient of gradients) gradient.dispose();
    }
  }

  async values(): Promise<number[][]> {
    return Promise.all(this.parameters.map(async (p) => [...(await p.data())]));
  }

  dispose(): void {
    tf.dispose([...this.parameters]);
  }
}

/**
 * Largest difference of any tensor, relative to the largest absolute value expected in it. A tensor of one element may be
 * next to zero by chance, so it is measured by the largest value of all.
 */
export function relativeDistance(
  actual: readonly (readonly number[])[],
  expected: readonly (readonly number[])[],
): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  const largestOf = (values: readonly number[]): number => Math.max(0, ...values.map(Math.abs));
  const largestOfAll = largestOf(expected.flat());
  const distances = expected.map((values, i) => {
    const mine = actual[i] ?? [];
    if (mine.length !== values.length) return Number.POSITIVE_INFINITY;
    const largest = values.length === 1 ? largestOfAll : largestOf(values);
    // NaN on one side must not pass as equal.
    const worst = Math.max(0, ...values.map((value, j) => Math.abs(value - (mine[j] ?? NaN))));
    return Number.isNaN(worst) ? Number.POSITIVE_INFINITY : worst / (largest || 1);
  });
  return Math.max(0, ...distances);
}
