/**
 * Runs a kernel of the cpu engine on a complex64 tensor of the wasm engine, for transforms that wasm lacks and that no
 * training loop waits for.
 */
import type { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';
import { engine, getKernel, type TensorInfo } from '@tensorflow/tfjs-core';
import type { WasmCall } from './package-kernels.ts';
import { allocate, elements, sizeOf } from './wasm-heap.ts';

/** The kernel `name` of the cpu engine, of one complex64 input, as one of the wasm engine. */
export function complexFallback(name: string): (call: WasmCall<string>) => TensorInfo {
  return ({ inputs, backend }) => {
    const cpu = engine().findBackend('cpu') as MathBackendCPU;
    const [[key, x]] = Object.entries(inputs) as [[string, TensorInfo]];
    const pairs = elements(backend, x) as Float32Array;
    const part = (which: 0 | 1): TensorInfo => {
      const values = Float32Array.from(
        { length: sizeOf(x.shape) },
        (_, i) => pairs[2 * i + which] as number,
      );
      return cpu.makeTensorInfo(x.shape, 'float32', values);
    };
    const run = (kernel: string, of: Record<string, TensorInfo>): TensorInfo =>
      getKernel(kernel, 'cpu').kernelFunc({ inputs: of, attrs: {}, backend: cpu }) as TensorInfo;
    const parts = { real: part(0), imag: part(1) };
    const lent = run('Complex', parts);
    const made = run(name, { [key]: lent });
    const values = cpu.readSync(made.dataId) as Float32Array;
    const out = allocate(backend, made.shape, made.dtype);
    elements(backend, out).set(values);
    for (const { dataId } of [made, lent, parts.real, parts.imag]) cpu.disposeData(dataId, true);
    return out;
  };
}
