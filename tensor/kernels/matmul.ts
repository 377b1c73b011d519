/**
 * Matrix products on the wasm engine. The package takes its fast path (XNNPACK) only for one product without transposes,
 * and a scalar loop, up to 50 times slower, for all else: so transposes are made explicitly and batches go one by one.
 *
 * XNNPACK keeps what it prepared for a right-hand side under the id of that tensor. A tensor that was a right-hand side
 * must therefore never be written to again: scratch space is always on the left, or new.
 */
import {
  type BatchMatMulAttrs,
  broadcast_util,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core';
import { runPackageKernel, type WasmCall } from './package-kernels.ts';
import { transposed } from './transpose.ts';
import {
  allocate,
  type BackendWasm,
  closeWindow,
  floats,
  free,
  openWindow,
  sizeOf,
  view,
} from './wasm-heap.ts';

/** Multiplications below which a product of a batch costs less in the package's loop than the start of XNNPACK. */
const SMALL_PRODUCT = 16_384;

/** Rows of each tensor when XNNPACK prepared it as a right-hand side. */
const preparedRows = new WeakMap<object, number>();

/** The product of float32 matrices [m, k] and [k, n]; the caller frees it. */
export function product(backend: BackendWasm, a: TensorInfo, b: TensorInfo): TensorInfo {
  const [m = 1, k = 1] = a.shape;
  const n = b.shape[1] ?? 1;
  // A reshaped tensor has the same id: under a new one XNNPACK does not take what it prepared for the other shape.
  const reshaped = (preparedRows.get(b.dataId) ?? k) !== k;
  const right = reshaped ? openWindow(backend, b, 0, b.shape) : b;
  if (!reshaped) preparedRows.set(b.dataId, k);
  const out = runPackageKernel(
    backend,
    'BatchMatMul',
    { a: { ...a, shape: [1, m, k] }, b: { ...right, shape: [1, k, n] } },
    { transposeA: false, transposeB: false },
  );
  if (reshaped) closeWindow(backend, right);
  return { ...out, shape: [m, n] };
}

/** Kernel `BatchMatMul`. */
export function batchMatMul(call: WasmCall<'a' | 'b', BatchMatMulAttrs>): TensorInfo {
  const { inputs, attrs, backend } = call;
  const { a, b } = inputs;
  const { transposeA, transposeB } = attrs;
  const left = matrices(a, transposeA);
  const right = matrices(b, transposeB);
  util.assert(
    left.columns === right.rows,
    () =>
      `matMul: inner dimensions ${left.columns} and ${right.rows} of shapes [${a.shape}] and [${b.shape}] differ`,
  );
  const outer = broadcast_util.assertAndGetBroadcastShape(left.outer, right.outer);
  const shape = [...outer, left.rows, right.columns];
  if (sizeOf(shape) === 0 || left.columns === 0) return zeros(backend, shape);
  if (right.count === 1 && (left.count === 1 || !transposeA)) {
    // A batch on the left alone is one tall matrix.
    const rows = left.count * left.rows;
    const stored = transposeA ? [left.columns, left.rows] : [rows, left.columns];
    const b2 = view(backend, b, b.shape.slice(-2));
    const a2 = view(backend, a, stored);
    const out = multiply(backend, [a2, b2], attrs);
    free(backend, a2, b2);
    return { ...out, shape };
  }
  const { rows, columns } = left;
  if (rows * columns * right.columns < SMALL_PRODUCT && left.count === right.count) {
    return runPackageKernel(backend, 'BatchMatMul', { a, b }, { transposeA, transposeB });
  }
  return oneByOne(call, [left, right], shape);
}

/** How an operand splits into matrices, after its transpose. */
interface Matrices {
  readonly outer: number[];
  readonly count: number;
  readonly rows: number;
  readonly columns: number;
}

function matrices(x: TensorInfo, transpose: boolean): Matrices {
  const outer = x.shape.slice(0, -2);
  const [rows = 1, columns = 1] = x.shape.slice(-2);
  const count = sizeOf(outer);
  return transpose
    ? { outer, count, rows: columns, columns: rows }
    : { outer, count, rows, columns };
}

function multiply(
  backend: BackendWasm,
  [a, b]: readonly [TensorInfo, TensorInfo],
  { transposeA, transposeB }: BatchMatMulAttrs,
): TensorInfo {
  const m = a.shape[transposeA ? 1 : 0] ?? 1;
  const n = b.shape[transposeB ? 0 : 1] ?? 1;
  if (transposeB && n >= 4 * m) {
    // (B Aᵀ)ᵀ: turning the small operand and the result costs less than turning a large B.
    const right = transposeA ? view(backend, a, a.shape) : transposed(backend, a);
    const turned = product(backend, b, right);
    const out = transposed(backend, turned);
    free(backend, right, turned);
    return out;
  }
  const left = transposeA ? transposed(backend, a) : view(backend, a, a.shape);
  const right = transposeB ? transposed(backend, b) : view(backend, b, b.shape);
  const out = product(backend, left, right);
  free(backend, left, right);
  return out;
}

function oneByOne(
  { inputs: { a, b }, attrs, backend }: WasmCall<'a' | 'b', BatchMatMulAttrs>,
  [left, right]: readonly [Matrices, Matrices],
  shape: readonly number[],
): TensorInfo {
  const out = allocate(backend, shape);
  const sizeA = left.rows * left.columns;
  const sizeB = right.rows * right.columns;
  const size = left.rows * right.columns;
  const outer = shape.slice(0, -2);
  const ofA = broadcastIndex(left.outer, outer);
  const ofB = broadcastIndex(right.outer, outer);
  for (let i = 0, count = sizeOf(outer); i < count; i++) {
    const one = openWindow(backend, a, ofA(i) * sizeA, a.shape.slice(-2));
    const other = openWindow(backend, b, ofB(i) * sizeB, b.shape.slice(-2));
    const part = multiply(backend, [one, other], attrs);
    floats(backend, out).set(floats(backend, part), i * size);
    free(backend, part);
    closeWindow(backend, one);
    closeWindow(backend, other);
  }
  return out;
}

/** For an index into the broadcast shape, the index into a shape that was broadcast to it. */
function broadcastIndex(from: readonly number[], to: readonly number[]): (index: number) => number {
  const lead = to.length - from.length;
  return (index) => {
    let rest = index;
    let found = 0;
    let stride = 1;
    for (let d = to.length - 1; d >= lead; d--) {
      const size = to[d] ?? 1;
      const own = from[d - lead] ?? 1;
      if (own > 1) found += (rest % size) * stride;
      stride *= own;
      rest = Math.floor(rest / size);
    }
    return found;
  };
}

function zeros(backend: BackendWasm, shape: readonly number[]): TensorInfo {
  const out = allocate(backend, shape);
  floats(backend, out).fill(0);
  return out;
}
