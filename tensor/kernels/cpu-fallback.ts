/**
 * Runs a kernel of the cpu engine on tensors of the wasm engine: slow but right, for kernels that wasm lacks or has wrong
 * and that no training loop waits for.
 */

import type { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';
import { engine, getKernel, type NamedAttrMap, type TensorInfo } from '@tensorflow/tfjs-core';
import type { WasmCall } from './package-kernels.ts';
import { allocate, elements } from './wasm-heap.ts';

/** The kernel `name` of the cpu engine as one of the wasm engine, for dtypes other than string. */
export function cpuFallback(
  name: string,
): (call: WasmCall<string, NamedAttrMap>) => TensorInfo | TensorInfo[] {
  return ({ inputs, attrs, backend }) => {
    const cpu = engine().findBackend('cpu') as MathBackendCPU;
    // Copies: a view would be lost if the heap grew for the result, which may be one of the inputs.
    const lent = Object.entries(inputs).map(([key, x]): [string, TensorInfo] => [
      key,
      // Some kernels check the rank, which only whole tensors have.
      Object.assign(cpu.makeTensorInfo(x.shape, x.dtype, elements(backend, x).slice()), {
        rank: x.shape.length,
      }),
    ]);
    const lentInputs = Array.isArray(inputs) ? lent.map(([, x]) => x) : Object.fromEntries(lent);
    const { kernelFunc } = getKernel(name, 'cpu');
    const made = kernelFunc({
      // Kernels of a variable number of inputs take an array, which their declared type leaves out.
      inputs: lentInputs as Record<string, TensorInfo>,
      attrs,
      backend: cpu,
    });
    const take = (result: TensorInfo): TensorInfo => {
      const out = allocate(backend, result.shape, result.dtype);
      elements(backend, out).set(cpu.readSync(result.dataId) as Float32Array);
      return out;
    };
    const results = Array.isArray(made) ? made.map(take) : take(made);
    // Some kernels give back an input itself, and hold no reference of their own to it then.
    const all = new Set(
      [made]
        .flat()
        .concat(lent.map(([, x]) => x))
        .map(({ dataId }) => dataId),
    );
    for (const dataId of all) cpu.disposeData(dataId, true);
    return results;
  };
}
