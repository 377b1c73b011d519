/**
 * Kernel `FusedBatchNorm` for statistics of any shape that broadcasts. Both packages go round in the statistics while they
 * walk through x, which is right for the last axis alone: along any other they take the wrong ones, silently.
 */
import {
  broadcast_util,
  type FusedBatchNormAttrs,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core';
import type { CpuCall } from './cpu-conv-filter-grad.ts';
import { cpuFallback } from './cpu-fallback.ts';
import { runPackageKernel, type WasmCall } from './package-kernels.ts';
import { sizeOf } from './wasm-heap.ts';

type Names = 'x' | 'mean' | 'variance' | 'scale' | 'offset';
type WasmBatchNorm = (call: WasmCall<Names, FusedBatchNormAttrs>) => TensorInfo;

const fallback = cpuFallback('FusedBatchNorm') as unknown as WasmBatchNorm;

/** For the wasm engine: the package's own where that is right. */
export const batchNorm: WasmBatchNorm = (call) => {
  const { backend, attrs } = call;
  // Scale and offset are undefined where there are none.
  const given = Object.entries(call.inputs).filter(([, input]) => input != null);
  const inputs = Object.fromEntries(given) as Record<Names, TensorInfo>;
  const isPeriodic = given.every(([, { shape }]) => repeats(shape, inputs.x.shape));
  return isPeriodic
    ? runPackageKernel(backend, 'FusedBatchNorm', call.inputs, { ...attrs })
    : fallback({ ...call, inputs });
};

/** For the cpu engine. */
export function cpuBatchNorm(call: CpuCall<Names, FusedBatchNormAttrs>): TensorInfo {
  const { inputs, attrs, backend } = call;
  const { x } = inputs;
  const spread = (input: TensorInfo | undefined, otherwise: number): Float32Array => {
    if (input == null) return Float32Array.of(otherwise);
    const values = backend.readSync(input.dataId) as Float32Array;
    return repeats(input.shape, x.shape) ? values : broadcast(values, input.shape, x.shape);
  };
  const mean = spread(inputs.mean, 0);
  const variance = spread(inputs.variance, 1);
  const scale = spread(inputs.scale, 1);
  const offset = spread(inputs.offset, 0);
  const of = (values: Float32Array, i: number): number => values[i % values.length] as number;
  const values = backend.readSync(x.dataId) as Float32Array;
  const normed = values.map((value, i) => {
    const deviation = Math.sqrt(of(variance, i) + attrs.varianceEpsilon);
    return of(offset, i) + ((value - of(mean, i)) * of(scale, i)) / deviation;
  });
  return backend.makeTensorInfo(x.shape, 'float32', normed);
}

/** Whether broadcasting to `whole` is repeating the elements in their order. */
function repeats(shape: readonly number[], whole: readonly number[]): boolean {
  const tail = shape.slice(shape.findIndex((dim) => dim !== 1));
  return sizeOf(shape) === 1 || util.arraysEqual(tail, whole.slice(whole.length - tail.length));
}

function broadcast(values: Float32Array, shape: number[], whole: number[]): Float32Array {
  const aligned = [...whole.map(() => 1), ...shape].slice(-whole.length);
  const strides = util.computeStrides([...aligned, 1]);
  const repeated = new Set(broadcast_util.getBroadcastDims(aligned, whole));
  const wholeStrides = util.computeStrides([...whole, 1]);
  return Float32Array.from({ length: sizeOf(whole) }, (_, i) => {
    let at = 0;
    for (const [axis, dim] of whole.entries()) {
      if (repeated.has(axis)) continue;
      at += (Math.floor(i / (wholeStrides[axis] as number)) % dim) * (strides[axis] as number);
    }
    return values[at] as number;
  });
}
