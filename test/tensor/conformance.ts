/**
 * What the tables of operations are made of, and how one is checked: the engine wasm against cpu, gradients included, and
 * the gradients of cpu against finite differences.
 */
import { expect } from '@jest/globals';
import { type EngineName, startEngine, tf } from '../../tensor/index.ts';

/** An operation as the tables write it. */
// biome-ignore lint/suspicious/noExplicitAny: each takes tensors of the ranks that its shapes have
export type Op = (...xs: any[]) => tf.Tensor | tf.Tensor[];

type Shapes = readonly (readonly number[])[];

export interface Case {
  readonly name: string;
  readonly op: Op;
  /** Of the inputs, once for each time that the operation is to be checked. */
  readonly shapes: readonly Shapes[];
  /**
   * smooth: no two elements are equal or near 0, and the gradient is also compared with finite differences. ties: many
   * elements are equal or 0. whole: no gradient is asked for, and the elements are integers. forward: no gradient.
   */
  readonly kind: 'smooth' | 'ties' | 'whole' | 'forward';
}

/** The distance that elements move for finite differences, and how many of each input are moved. */
const STEP = 5e-3;
const POINTS = 3;

export function smooth(name: string, op: Op, ...shapes: Shapes[]): Case {
  return { name, op, shapes, kind: 'smooth' };
}

export function ties(name: string, op: Op, ...shapes: Shapes[]): Case {
  return { name: `${name}, equal elements`, op, shapes, kind: 'ties' };
}

export function whole(name: string, op: Op, ...shapes: Shapes[]): Case {
  return { name: `${name} of integers`, op, shapes, kind: 'whole' };
}

export function forward(name: string, op: Op, ...shapes: Shapes[]): Case {
  return { name, op, shapes, kind: 'forward' };
}

interface Results {
  readonly values: number[][];
  readonly gradients: number[][];
}

/** Checks a case with all its shapes. */
export async function check({ op, shapes, kind }: Case): Promise<void> {
  for (const of of shapes) {
    const inputs = of.map((shape, i) => ({ shape, data: elements(kind, shape, i) }));
    const before = tf.memory().numTensors;
    const cpu = await resultsOn('cpu', { op, inputs, kind });
    if (kind === 'smooth') expectDifferences(op, inputs, cpu.gradients);
    const wasm = await resultsOn('wasm', { op, inputs, kind });
    expect(tf.memory().numTensors).toBe(before);
    for (const part of ['values', 'gradients'] as const) {
      expect(wasm[part]).toHaveLength(cpu[part].length);
      for (const [i, mine] of wasm[part].entries()) {
        const theirs = cpu[part][i] ?? [];
        const distance = distanceOf(mine, theirs);
        if (distance <= 1e-5) continue;
        throw new Error(
          `${part} ${i} of [${of.join('] [')}] differ by ${distance}: [${head(mine)}] on wasm, [${head(theirs)}] on cpu`,
        );
      }
    }
  }
}

interface Input {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

interface Work {
  readonly op: Op;
  readonly inputs: readonly Input[];
  readonly kind: Case['kind'];
}

async function resultsOn(engine: EngineName, { op, inputs, kind }: Work): Promise<Results> {
  await startEngine(engine);
  return tf.tidy(() => {
    const xs = inputs.map(({ shape, data }) =>
      tf.tensor(data, [...shape], kind === 'whole' ? 'int32' : 'float32'),
    );
    const values = [op(...xs)].flat().map((y) => Array.from(y.dataSync()));
    if (kind === 'whole' || kind === 'forward') return { values, gradients: [] };
    const loss = (...ys: tf.Tensor[]): tf.Tensor => {
      const outputs = [op(...ys)].flat().filter(({ dtype }) => dtype === 'float32');
      return tf.addN(outputs.map((y) => tf.sum(tf.mul(y, tf.tensor(weights(y.size), y.shape)))));
    };
    const gradients = tf
      .grads(loss)(xs)
      .map((g) => Array.from(g.dataSync()));
    return { values, gradients };
  });
}

/** The gradients of cpu at a few elements of each input. */
function expectDifferences(op: Op, inputs: readonly Input[], gradients: number[][]): void {
  const loss = (): number =>
    tf.tidy(() => {
      const xs = inputs.map(({ shape, data }) => tf.tensor(data.slice(), [...shape]));
      let sum = 0;
      for (const y of [op(...xs)].flat()) {
        if (y.dtype !== 'float32') continue;
        const w = weights(y.size);
        for (const [i, value] of y.dataSync().entries()) sum += value * (w[i] ?? 0);
      }
      return sum;
    });
  for (const [i, { data }] of inputs.entries()) {
    const gradient = gradients[i] ?? [];
    const most = gradient.reduce((max, g) => Math.max(max, Math.abs(g)), 0.1);
    for (let point = 0; point < Math.min(POINTS, data.length); point++) {
      const at = (point * 37 + 5) % data.length;
      const value = data[at] ?? 0;
      data[at] = value + STEP;
      const above = [data[at], loss()] as const;
      data[at] = value - STEP;
      const below = [data[at], loss()] as const;
      data[at] = value;
      const difference = (above[1] - below[1]) / ((above[0] ?? 0) - (below[0] ?? 0));
      const distance = Math.abs(difference - (gradient[at] ?? Number.NaN));
      if (distance <= 0.01 * most) continue;
      throw new Error(
        `gradient ${i} at ${at} of [${inputs.map(({ shape }) => shape).join('] [')}] is ${gradient[at]} on cpu, finite differences say ${difference}`,
      );
    }
  }
}

/** Elements in (-2, 2), the same for the same shape and position. */
function elements(kind: Case['kind'], shape: readonly number[], position: number): Float32Array {
  const size = tf.util.sizeFromShape([...shape]);
  if (kind === 'ties') return Float32Array.from({ length: size }, (_, i) => ((i * i) % 5) / 2 - 1);
  if (kind === 'whole') return Float32Array.from({ length: size }, (_, i) => ((i * 7) % 11) - 5);
  // A permutation of evenly spaced numbers, none of them 0.
  const factor = [7919, 7907, 7901, 7883, 7879][position] ?? 7877;
  const scale = 2 - 0.17 * position;
  return Float32Array.from(
    { length: size },
    (_, i) => (((i * factor + position) % size) + 0.37) * ((2 * scale) / size) - scale,
  );
}

function weights(size: number): Float32Array {
  return Float32Array.from({ length: size }, (_, i) => Math.cos(1.3 * i + 0.5));
}

/** Largest difference, relative to the largest number of `b` or 1. Equal NaN and infinities do not differ. */
function distanceOf(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length) return Infinity;
  let most = 1;
  let difference = 0;
  for (const [i, value] of b.entries()) {
    const other = a[i] ?? 0;
    if (Object.is(other, value) || other === value) continue;
    if (Number.isFinite(value)) most = Math.max(most, Math.abs(value));
    const distance = Math.abs(other - value);
    difference = Math.max(difference, Number.isNaN(distance) ? Infinity : distance);
  }
  return difference / most;
}

function head(numbers: readonly number[]): string {
  return numbers.slice(0, 8).join(', ');
}
