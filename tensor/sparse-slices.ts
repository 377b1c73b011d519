/**
 * A tensor of which few rows are not zero: their numbers and contents. The form of sparse gradients and of what embeddings
 * push. It owns nothing by itself and knows nothing of how it travels.
 */
import { GradwireError } from '../errors.ts';
import { readTensor } from './codec.ts';
import { lookInto } from './collect.ts';
import * as tf from './tf.ts';

/**
 * Rows of a tensor of shape `denseShape`. A row number may come several times and in any order: such rows add up. The tensors
 * in it belong to whoever they belonged to before, and travel, are kept and freed as tensors in a record are. PyTorch: a
 * `torch.sparse_coo_tensor` with one sparse dimension; TensorFlow: `IndexedSlices`.
 */
export class SparseSlices implements Disposable {
  /** Row numbers, int32 of shape [n], each below `denseShape[0]`. */
  readonly indices: tf.Tensor1D;
  /** Row contents, of shape [n, ...denseShape.slice(1)]. */
  readonly values: tf.Tensor;
  readonly denseShape: readonly number[];

  /**
   * Row numbers are checked at once on the engines wasm and cpu; elsewhere only reading the device could tell.
   *
   * @throws GradwireError `invalid_argument` if dtypes, shapes or row numbers do not fit; `tensor_freed`
   */
  constructor(indices: tf.Tensor1D, values: tf.Tensor, denseShape: readonly number[]) {
    check(indices, values, denseShape);
    this.indices = indices;
    this.values = values;
    this.denseShape = [...denseShape];
  }

  /** How many rows there are, repeated ones counted as often as they come. */
  get length(): number {
    return this.indices.size;
  }

  /** The whole tensor, of shape `denseShape`; differentiable by `values`. The caller owns it. */
  toDense(): tf.Tensor {
    return tf.tidy(() => tf.unsortedSegmentSum(this.values, this.indices, this.#rows));
  }

  /**
   * The sum with `other`, whose rows come after these; nothing is added up yet. The caller owns it, tensors of its own.
   *
   * @throws GradwireError `invalid_argument` if shapes or dtypes differ
   */
  add(other: SparseSlices): SparseSlices {
    if (String(this.denseShape) !== String(other.denseShape)) {
      throw invalid(
        `rows of [${this.denseShape}] cannot be added to rows of [${other.denseShape}]`,
      );
    }
    if (this.values.dtype !== other.values.dtype) {
      throw invalid(`${this.values.dtype} cannot be added to ${other.values.dtype}`);
    }
    const indices = tf.concat1d([this.indices, other.indices]);
    return new SparseSlices(indices, tf.concat([this.values, other.values]), this.denseShape);
  }

  /** The same with each row once, in rising order. The caller owns it, tensors of its own. PyTorch: `coalesce`. */
  async coalesce(): Promise<SparseSlices> {
    const rows = await this.indices.data();
    const unique = [...new Set(rows)].sort((a, b) => a - b);
    const places = new Map(unique.map((row, place) => [row, place]));
    const { values } = this;
    // The engine cpu cannot add up no segments.
    if (rows.length === 0) {
      return new SparseSlices(tf.clone(this.indices), tf.clone(values), this.denseShape);
    }
    const summed = tf.tidy(() => {
      const segments = Int32Array.from(rows, (row) => places.get(row) ?? 0);
      return tf.unsortedSegmentSum(values, tf.tensor1d(segments, 'int32'), unique.length);
    });
    return new SparseSlices(tf.tensor1d(unique, 'int32'), summed, this.denseShape);
  }

  /** Frees both tensors. Idempotent. */
  dispose(): void {
    tf.dispose([this.indices, this.values]);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  get #rows(): number {
    return this.denseShape[0] ?? 0;
  }
}

lookInto(SparseSlices.prototype);

function check(indices: tf.Tensor, values: tf.Tensor, denseShape: readonly number[]): void {
  if (!(indices instanceof tf.Tensor) || !(values instanceof tf.Tensor)) {
    throw invalid('the indices and values of SparseSlices are tensors');
  }
  const isShape =
    Array.isArray(denseShape) &&
    denseShape.every((size) => Number.isSafeInteger(size) && size >= 0);
  if (!isShape || denseShape.length === 0)
    throw invalid('denseShape is a list of at least one size');
  if (indices.dtype !== 'int32' || indices.rank !== 1) {
    throw invalid(`the indices are ${indices.dtype} of shape [${indices.shape}], not int32 of [n]`);
  }
  const expected = [indices.size, ...denseShape.slice(1)];
  if (String(values.shape) !== String(expected)) {
    throw invalid(`the values have shape [${values.shape}] where [${expected}] is needed`);
  }
  checkRange(indices, denseShape[0] ?? 0);
}

function checkRange(indices: tf.Tensor, rows: number): void {
  const read = readTensor(indices);
  if (read instanceof Promise) return void read.catch(() => {});
  const { buffer, byteOffset } = read.bytes;
  for (const row of new Int32Array(buffer, byteOffset, indices.size)) {
    if (row < 0 || row >= rows) throw invalid(`row ${row} is beyond the ${rows} rows of the shape`);
  }
}

function invalid(message: string): GradwireError {
  return new GradwireError('invalid_argument', message);
}
