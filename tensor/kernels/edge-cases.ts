/** Kernels of the wasm package that are right but for some shapes, for which the cpu engine takes over. */
import { type NamedAttrMap, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { cpuFallback } from './cpu-fallback.ts';
import { runPackageKernel, type WasmCall } from './package-kernels.ts';
import { sizeOf } from './wasm-heap.ts';

type Kernel<Names extends string> = (call: WasmCall<Names, NamedAttrMap>) => TensorInfo;

/** A reduction; the package leaves the result unset where there is nothing to reduce. */
export function reduction(name: string): Kernel<'x'> {
  const fallback = cpuFallback(name) as Kernel<'x'>;
  return (call) =>
    sizeOf(call.inputs.x.shape) === 0
      ? fallback(call)
      : runPackageKernel(call.backend, name, call.inputs, call.attrs);
}

/** Kernel `Prelu`; the package repeats the slopes along leading axes only. */
export const prelu: Kernel<'x' | 'alpha'> = (call) => {
  const { x, alpha } = call.inputs;
  const tail = x.shape.slice(x.shape.length - alpha.shape.length);
  return util.arraysEqual(tail, alpha.shape)
    ? runPackageKernel(call.backend, 'Prelu', call.inputs, call.attrs)
    : (cpuFallback('Prelu') as Kernel<'x' | 'alpha'>)(call);
};
