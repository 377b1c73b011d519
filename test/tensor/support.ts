/** What the tests of the tensor layer share: leak checks, the engines, and distances between tensors. */
import { expect } from '@jest/globals';
import { type EngineName, startEngine, tf } from '../../tensor/index.ts';

/** The engines that can be had everywhere. */
export const ENGINES: readonly EngineName[] = ['wasm', 'cpu'];

await startEngine();

/** Runs `fn` and checks that it leaves neither tensors nor data in the engines. */
export async function expectNoLeak<R>(fn: () => R | Promise<R>): Promise<R> {
  const before = held();
  const result = await fn();
  expect(held()).toEqual(before);
  return result;
}

function held(): Record<string, number> {
  // Over all engines: the data of a tensor moves to the one that uses it.
  const ids = Object.values(tf.engine().registry).map((engine) => engine.numDataIds());
  return { numDataIds: ids.reduce((a, b) => a + b, 0), numTensors: tf.memory().numTensors };
}

/** Runs a synchronous `fn` on an engine that was started before, and gives the numbers of its results. */
export async function numbersOn(
  engine: EngineName,
  fn: () => tf.Tensor | tf.Tensor[],
): Promise<Float32Array[]> {
  await startEngine(engine);
  return expectNoLeak(() => {
    const results = [tf.tidy(fn)].flat();
    const numbers = results.map((result) => Float32Array.from(result.dataSync()));
    tf.dispose(results);
    return numbers;
  });
}

/** Largest difference of two lists, relative to the largest number in the second. */
export function relativeDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  let most = 0;
  let difference = 0;
  for (let i = 0; i < b.length; i++) {
    most = Math.max(most, Math.abs(b[i] ?? 0));
    difference = Math.max(difference, Math.abs((a[i] ?? 0) - (b[i] ?? 0)));
  }
  expect(difference).not.toBeNaN();
  return most === 0 ? difference : difference / most;
}

/** The same on both engines, within the precision of float32 sums. */
export async function expectSameOnBoth(fn: () => tf.Tensor | tf.Tensor[]): Promise<Float32Array[]> {
  const ours = await numbersOn('wasm', fn);
  const theirs = await numbersOn('cpu', fn);
  for (const [i, numbers] of ours.entries()) {
    expect(relativeDifference(numbers, theirs[i] ?? [])).toBeLessThanOrEqual(2e-6);
  }
  return ours;
}

/** A float32 tensor of numbers in (-1, 1), the same for the same seed, none repeated. */
export function noise(shape: number[], seed = 1): tf.Tensor {
  let state = seed * 2_654_435_761 + 12_345;
  const values = Float32Array.from({ length: tf.util.sizeFromShape(shape) }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return state / 2 ** 31;
  });
  return tf.tensor(values, shape);
}
