/**
 * Sums, differences and products of complex64 tensors for the wasm engine, whose own kernels take them for something else
 * and give what happens to lie in the heap. They are made of the package's kernels on the parts.
 */
import type { KernelFunc, TensorInfo } from '@tensorflow/tfjs-core';
import { complex, imag, real } from './complex.ts';
import { runPackageKernel, type WasmCall } from './package-kernels.ts';
import type { BackendWasm } from './wasm-heap.ts';

type Binary = WasmCall<'a' | 'b', Readonly<Record<string, unknown>>>;
type Name = 'Add' | 'Sub' | 'Multiply' | 'RealDiv';

/** The kernel of that name, right for complex64 too; quotients are refused, as by the cpu engine. */
export function complexAware(name: Name): KernelFunc {
  return (call) => {
    const { inputs, attrs, backend } = call as unknown as Binary;
    if (inputs.a.dtype !== 'complex64') return runPackageKernel(backend, name, inputs, attrs);
    if (name === 'RealDiv') throw new Error('RealDiv does not support complex64 tensors');
    const temporary: TensorInfo[] = [];
    const keep = (x: TensorInfo): TensorInfo => {
      temporary.push(x);
      return x;
    };
    const compute = (kernel: Name, a: TensorInfo, b: TensorInfo): TensorInfo =>
      keep(runPackageKernel(backend, kernel, { a, b }, attrs));
    const [a, b] = [parts(backend, inputs.a, keep), parts(backend, inputs.b, keep)];
    const isProduct = name === 'Multiply';
    const re = isProduct
      ? compute('Sub', compute(name, a.re, b.re), compute(name, a.im, b.im))
      : compute(name, a.re, b.re);
    const im = isProduct
      ? compute('Add', compute(name, a.re, b.im), compute(name, a.im, b.re))
      : compute(name, a.im, b.im);
    const result = complex({ inputs: { real: re, imag: im }, attrs: {}, backend });
    for (const { dataId } of temporary) backend.disposeData(dataId);
    return result;
  };
}

function parts(
  backend: BackendWasm,
  input: TensorInfo,
  keep: (x: TensorInfo) => TensorInfo,
): { re: TensorInfo; im: TensorInfo } {
  const call = { inputs: { input }, attrs: {}, backend };
  return { re: keep(real(call)), im: keep(imag(call)) };
}
