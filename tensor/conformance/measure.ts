/**
 * Runs a case on the current engine: its results, its gradients, and what finite differences say of these. It compares
 * nothing between engines.
 */
import * as tf from '../tf.ts';
import { type Case, factors } from './case.ts';
import { FLOOR } from './compare.ts';
import { open, type Program } from './program.ts';

/** What a case gives for one of its lists of shapes. */
export interface Results {
  readonly values: Float32Array[];
  /** Of the sum of all float32 results times `factors`; by inputs and trained weights. */
  readonly gradients: Float32Array[];
}

/** Steps of finite differences, each twice the next. The best counts: long ones cross kinks, short ones drown in rounding. */
const STEPS = [2 ** -6, 2 ** -7, 2 ** -8, 2 ** -9, 2 ** -10, 2 ** -11] as const;
/** Directions in which each input is moved. */
const DIRECTIONS = 2;
/** What is good enough for not trying other steps. */
const GOOD = 5e-5;

/** The results for each list of shapes. No tensor is left. */
export function measure(each: Case): Results[] {
  return each.shapes.map((shapes) => {
    const program = open(each, shapes);
    try {
      return tidied(() => resultsOf(program, hasGradient(each)));
    } finally {
      program.close();
    }
  });
}

/**
 * How far the gradients of the engine are from the derivatives that finite differences give along several directions for
 * each input: the largest distance, relative to what a gradient of that length has along a direction on average.
 */
export function differenceOf(each: Case): number {
  let worst = 0;
  for (const shapes of each.shapes) {
    const program = open(each, shapes);
    try {
      const { gradients } = tidied(() => resultsOf(program, true));
      for (const [input, gradient] of gradients.entries()) {
        for (let direction = 0; direction < DIRECTIONS && gradient.length > 0; direction++) {
          const along = directionOf(gradient.length, direction);
          worst = Math.max(worst, distance(program, { input, gradient, along }));
        }
      }
    } finally {
      program.close();
    }
  }
  return worst;
}

/** Whether gradients are asked for. */
export function hasGradient({ kind }: Case): boolean {
  return kind === 'smooth' || kind === 'ties';
}

function resultsOf(program: Program, isDerived: boolean): Results {
  const { xs, wrt } = program.set(program.data);
  const values = program.run(xs).map((y) => Float32Array.from(y.dataSync()));
  if (!isDerived) return { values, gradients: [] };
  const { grads } = tf.engine().gradients(() => weightedSum(program.run(xs)), wrt);
  const gradients = grads.map((g, i) => {
    if (g == null) throw new Error(`input ${i} got no gradient`);
    return Float32Array.from(g.dataSync());
  });
  return { values, gradients };
}

/** `tf.tidy` for what holds no tensors. */
function tidied<R>(fn: () => R): R {
  const results: R[] = [];
  tf.tidy(() => void results.push(fn()));
  return results[0] as R;
}

function weightedSum(ys: readonly tf.Tensor[]): tf.Tensor {
  const outputs = ys.filter(({ dtype }) => dtype === 'float32');
  return tf.addN(outputs.map((y) => tf.sum(tf.mul(y, tf.tensor(factors(y.size), y.shape)))));
}

interface Line {
  readonly input: number;
  readonly gradient: Float32Array;
  readonly along: Float32Array;
}

function distance(program: Program, { input, gradient, along }: Line): number {
  const derivative = dot(gradient, along);
  const usual = (Math.hypot(...gradient) * Math.hypot(...along)) / Math.sqrt(along.length);
  const scale = Math.max(FLOOR, usual);
  let previous = Number.NaN;
  let best = Infinity;
  for (const step of STEPS) {
    const slope = slopeOf(program, { input, along }, step);
    // Richardson: the error of slopes goes with the square of the step, so this takes it away.
    const extrapolated = (4 * slope - previous) / 3;
    for (const estimate of [slope, extrapolated]) {
      if (Number.isNaN(estimate)) continue;
      best = Math.min(best, Math.abs(estimate - derivative) / scale);
    }
    if (best < GOOD) break;
    previous = slope;
  }
  return best;
}

/** The central difference quotient of the weighted sum of all results. */
function slopeOf(
  program: Program,
  { input, along }: Pick<Line, 'input' | 'along'>,
  step: number,
): number {
  const at = (sign: number): number => {
    const moved = program.data.map((values, i) =>
      i === input ? values.map((value, j) => value + sign * step * (along[j] as number)) : values,
    );
    return tidied(() => sumOf(program.run(program.set(moved).xs)));
  };
  return (at(1) - at(-1)) / (2 * step);
}

/** As `weightedSum`, in double precision. */
function sumOf(ys: readonly tf.Tensor[]): number {
  let sum = 0;
  for (const y of ys) {
    if (y.dtype !== 'float32') continue;
    sum += dot(y.dataSync() as Float32Array, factors(y.size));
  }
  return sum;
}

/** Numbers of size 1 of mixed signs, multiples of 1/16 so that steps along them round little. */
function directionOf(size: number, direction: number): Float32Array {
  return Float32Array.from({ length: size }, (_, i) => {
    const wave = Math.cos((1.7 + direction) * (i + 1) + direction);
    return Math.round(wave * 16) / 16 || 1;
  });
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
}
