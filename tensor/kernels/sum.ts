/**
 * Kernel `Sum` for the wasm engine, for sums over all axes but the last, such as the gradient of every bias: the package
 * transposes the whole tensor for them. Other sums stay with the package, except
 * of nothing.
 */
import { type SumAttrs, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { reduction } from './edge-cases.ts';
import { runPackageKernel, type WasmCall } from './package-kernels.ts';
import { allocate, floats, sizeOf } from './wasm-heap.ts';

const sumOfNothing = reduction('Sum');

/** Kernel `Sum`. */
export function sum(call: WasmCall<'x', SumAttrs>): TensorInfo {
  const { inputs, attrs, backend } = call;
  const { x } = inputs;
  if (sizeOf(x.shape) === 0) return sumOfNothing({ ...call, attrs: { ...attrs } });
  const axes = util.parseAxisParam(attrs.axis, x.shape);
  const last = x.shape.length - 1;
  const columns = x.shape[last] ?? 0;
  const isLeading = axes.length === last && !axes.includes(last);
  if (x.dtype !== 'float32' || last < 1 || !isLeading) {
    return runPackageKernel(backend, 'Sum', inputs, { ...attrs });
  }
  const kept = attrs.keepDims ? x.shape.map((dim, i) => (i === last ? dim : 1)) : [columns];
  const out = allocate(backend, kept);
  floats(backend, out).set(columnSums(floats(backend, x), columns));
  return out;
}

/** Sums of the columns of a row-major matrix, in double precision. */
function columnSums(values: Float32Array, columns: number): Float64Array {
  const sums = new Float64Array(columns);
  const end = values.length;
  // Four rows at a time, so that each sum is loaded and stored once for them.
  const four = end - (end % (4 * columns));
  let row = 0;
  for (; row < four; row += 4 * columns) {
    for (let c = 0; c < columns; c++) {
      const at = row + c;
      const pair = (values[at] as number) + (values[at + columns] as number);
      const other = (values[at + 2 * columns] as number) + (values[at + 3 * columns] as number);
      (sums[c] as number) += pair + other;
    }
  }
  for (; row < end; row += columns) {
    for (let c = 0; c < columns; c++) (sums[c] as number) += values[row + c] as number;
  }
  return sums;
}
