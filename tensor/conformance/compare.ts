/** How far results are from each other. Pure: numbers alone. */

/** The most by which two engines, or an engine and PyTorch, may differ. */
export const BOUND = 1e-4;

/** The most by which a derivative may differ from finite differences: those are taken of results in float32. */
export const DIFFERENCE_BOUND = 1e-3;

/**
 * The least that a difference is relative to. The numbers that go in are of size 1, and so is what cancels out in smaller
 * results: its rounding in float32, 6e-8, must stay below BOUND times this.
 */
export const FLOOR = 1e-3;

type Numbers = ArrayLike<number>;

/**
 * The largest difference of two lists, relative to the largest finite number of `b`. Equal NaN and infinities do not
 * differ; lists of different lengths differ infinitely.
 */
export function relativeDifference(a: Numbers, b: Numbers): number {
  if (a.length !== b.length) return Infinity;
  let most = FLOOR;
  let difference = 0;
  for (let i = 0; i < b.length; i++) {
    const [one, other] = [a[i] as number, b[i] as number];
    if (Number.isFinite(other)) most = Math.max(most, Math.abs(other));
    if (one === other || Object.is(one, other)) continue;
    const distance = Math.abs(one - other);
    difference = Math.max(difference, Number.isNaN(distance) ? Infinity : distance);
  }
  return difference / most;
}

/** The largest of the differences between lists, one by one. */
export function largestDifference(a: readonly Numbers[], b: readonly Numbers[]): number {
  if (a.length !== b.length) return Infinity;
  return a.reduce((most, list, i) => Math.max(most, relativeDifference(list, b[i] ?? [])), 0);
}
