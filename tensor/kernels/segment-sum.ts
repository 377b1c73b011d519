/**
 * Kernel `UnsortedSegmentSum`, the gradient of `gather` and so of every embedding, for the wasm engine, which has none:
 * one pass over the rows.
 */
import type { TensorInfo, UnsortedSegmentSumAttrs } from '@tensorflow/tfjs-core';
import type { WasmCall } from './package-kernels.ts';
import { allocate, elements, ints, sizeOf } from './wasm-heap.ts';

/** Kernel `UnsortedSegmentSum`; rows whose segment is out of range are left out. */
export function unsortedSegmentSum(
  call: WasmCall<'x' | 'segmentIds', UnsortedSegmentSumAttrs>,
): TensorInfo {
  const { inputs, attrs, backend } = call;
  const { x, segmentIds } = inputs;
  const { numSegments } = attrs;
  const rowShape = x.shape.slice(segmentIds.shape.length);
  const row = sizeOf(rowShape);
  const out = allocate(backend, [numSegments, ...rowShape], x.dtype);
  const values = elements(backend, x);
  const sums = elements(backend, out);
  sums.fill(0);
  let from = 0;
  for (const segment of ints(backend, segmentIds)) {
    if (segment >= 0 && segment < numSegments) {
      const to = segment * row;
      for (let i = 0; i < row; i++) (sums[to + i] as number) += values[from + i] as number;
    }
    from += row;
  }
  return out;
}
