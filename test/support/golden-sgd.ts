/**
 * Reads test/parity/sgd.json and draws what it does not store: start values and gradients, by the generator that
 * test/parity/sgd.py describes.
 */
import { readFileSync } from 'node:fs';
import type { SGDOptions } from '../../optim/sgd.ts';
import { tf } from '../../tensor/index.ts';

export interface GoldenCase {
  readonly options: SGDOptions;
  /** Values of all parameters after the step of that number. */
  readonly at: Readonly<Record<string, readonly number[][]>>;
  /** Buffers of all parameters after the last step; null without momentum. */
  readonly momentumBuffers: readonly number[][] | null;
}

interface GoldenFile {
  readonly seed: number;
  readonly shapes: readonly number[][];
  readonly steps: number;
  readonly cases: readonly GoldenCase[];
}

// From dist/test/support up to the root of the repository: the compiler does not copy JSON.
const path = new URL('../../../test/parity/sgd.json', import.meta.url);

export const golden: GoldenFile = JSON.parse(readFileSync(path, 'utf8'));

/** Start values, then the gradients of each step, in the order in which they must be drawn. */
export class GoldenDraw {
  #x = golden.seed;

  /** All start values or all gradients of a step; `Variable`s and tensors made of them are the caller's. */
  tensors(): tf.Tensor[] {
    return golden.shapes.map((shape) => tf.tensor(this.#values(shape), shape, 'float32'));
  }

  #values(shape: readonly number[]): Float32Array {
    return Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => {
      this.#x = (Math.imul(1664525, this.#x) + 1013904223) >>> 0;
      return (this.#x >>> 8) / 2 ** 23 - 1;
    });
  }
}

/** Whether the parameter has a gradient in that step (1, 2, …). */
export function hasGradient(index: number, step: number): boolean {
  return index !== 1 || step % 7 !== 0;
}
