/**
 * Rows of a tensor: reading, adding up and replacing them. What sparse gradients need, and nothing else; it knows no rule.
 */
import { type SparseSlices, tf } from '../tensor/index.ts';

/** Some rows of a tensor, each once. */
export interface Rows {
  /** int32 of shape [n]. */
  readonly indices: tf.Tensor1D;
  /** Of shape [n, …]. */
  readonly values: tf.Tensor;
}

/** The rows of `slices` with repeated ones added up, at once; in a tidy. PyTorch: `coalesce`. */
export function sumRows(slices: SparseSlices): Rows {
  const { indices, values } = slices;
  // The engines that there are answer at once; the numbers are few.
  const numbers = indices.dataSync();
  const places = new Map<number, number>();
  for (const row of numbers) if (!places.has(row)) places.set(row, places.size);
  if (places.size === numbers.length) return { indices, values };
  const segments = tf.tensor1d(
    Int32Array.from(numbers, (row) => places.get(row) ?? 0),
    'int32',
  );
  return {
    indices: tf.tensor1d(Int32Array.from(places.keys()), 'int32'),
    values: tf.unsortedSegmentSum(values, segments, places.size),
  };
}

export function takeRows(tensor: tf.Tensor, { indices }: Rows): tf.Tensor {
  return tf.gather(tensor, indices);
}

/** `tensor` with the contents of these rows replaced, bit for bit; the others as they are. */
export function withRows(tensor: tf.Tensor, { indices }: Rows, values: tf.Tensor): tf.Tensor {
  return tf.tensorScatterUpdate(tensor, tf.reshape(indices, [indices.size, 1]), values);
}
