/**
 * Gradients, dense or sparse, as passes and contexts add them up. Every function runs where nothing is recorded, uses its
 * gradients up unless it says otherwise, and gives kept ones, which the caller owns.
 */
import { GradwireError } from '../errors.ts';
import { SparseSlices, tf } from '../tensor/index.ts';
import type { Gradient } from './leaves.ts';

/** Sparse stays sparse only with sparse, and no longer than the tensor has rows. */
export function sumOf(a: Gradient | null, b: Gradient): Gradient {
  if (a === null) return b;
  try {
    if (!(a instanceof SparseSlices && b instanceof SparseSlices)) {
      return kept(() => tf.add(wholeOf(a), wholeOf(b)));
    }
    return keptSlices(() => (a.length + b.length <= rowCount(a) ? a.add(b) : allRows(a, b)));
  } finally {
    a.dispose();
    b.dispose();
  }
}

export function densified(gradient: Gradient): tf.Tensor {
  if (gradient instanceof tf.Tensor) return gradient;
  try {
    return kept(() => gradient.toDense());
  } finally {
    gradient.dispose();
  }
}

/** Another handle of the same contents; `gradient` stays the caller's. */
export function copyOf(gradient: Gradient): Gradient {
  if (gradient instanceof tf.Tensor) return kept(() => tf.clone(gradient));
  const { indices, values, denseShape } = gradient;
  return keptSlices(() => new SparseSlices(tf.clone(indices), tf.clone(values), denseShape));
}

/** Makes slices in a tidy and takes them out of it. */
export function keptSlices(make: () => SparseSlices): SparseSlices {
  const made: SparseSlices[] = [];
  tf.tidy(() => {
    const slices = make();
    tf.keep(slices.indices);
    tf.keep(slices.values);
    made.push(slices);
  });
  return made[0] as SparseSlices;
}

/** Whether NaN is in it. Stays the caller's. @throws Error on engines that cannot be read at once */
export function hasNaN(gradient: Gradient): boolean {
  const tensor = gradient instanceof tf.Tensor ? gradient : gradient.values;
  return tensor.dtype === 'float32' && tensor.dataSync().some(Number.isNaN);
}

/** @throws GradwireError `tensor_freed`, `invalid_argument` for what is no gradient of `root` */
export function assertFits(root: tf.Tensor, gradient: Gradient): void {
  const isTensor = gradient instanceof tf.Tensor;
  const values = isTensor ? gradient : gradient.values;
  if (values.isDisposed)
    throw new GradwireError('tensor_freed', 'the gradient that is fed was freed');
  const shape = isTensor ? gradient.shape : gradient.denseShape;
  if (values.dtype === 'float32' && tf.util.arraysEqual([...shape], root.shape)) return;
  throw new GradwireError(
    'invalid_argument',
    `the gradient of a float32 [${root.shape}] tensor cannot be ${values.dtype} [${shape}]`,
  );
}

function kept(make: () => tf.Tensor): tf.Tensor {
  return tf.tidy(() => [tf.keep(make())])[0] as tf.Tensor;
}

function wholeOf(gradient: Gradient): tf.Tensor {
  return gradient instanceof tf.Tensor ? gradient : gradient.toDense();
}

/** The sum with every row once: what many small gradients of one tensor come to. */
function allRows(a: SparseSlices, b: SparseSlices): SparseSlices {
  const sum = tf.add(a.toDense(), b.toDense());
  return new SparseSlices(tf.range(0, rowCount(a), 1, 'int32'), sum, a.denseShape);
}

function rowCount({ denseShape }: SparseSlices): number {
  return denseShape[0] ?? 0;
}
