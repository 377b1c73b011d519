/**
 * Gradients of which few rows are not zero: beside the function that makes the whole tensor stands one that makes those rows
 * alone. Whoever takes a gradient chooses. Knows nothing of who they are for.
 */
import type * as core from '@tensorflow/tfjs-core';

/** Rows of a gradient, as `SparseSlices` hold them. */
export interface Rows {
  readonly indices: core.Tensor1D;
  readonly values: core.Tensor;
}

const forms = new WeakMap<() => core.Tensor, () => Rows>();

/** Says that what `dense` makes can be had as rows; gives `dense` back. */
export function withRows(dense: () => core.Tensor, rows: () => Rows): () => core.Tensor {
  forms.set(dense, rows);
  return dense;
}

/** The function that makes the rows of what `dense` would make; undefined where there is none. */
export function rowsOf(dense: () => core.Tensor): (() => Rows) | undefined {
  return forms.get(dense);
}
