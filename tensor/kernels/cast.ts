/**
 * Kernel `Cast` for the wasm engine, whose own makes `false` of 0.5 and 254 of -2 when it casts to bool, knows no
 * complex64, and copies the data even to the dtype that it has.
 */
import type { CastAttrs, TensorInfo } from '@tensorflow/tfjs-core';
import { complex, real } from './complex.ts';
import { identity } from './identity.ts';
import { runPackageKernel, type WasmCall } from './package-kernels.ts';
import { allocate, elements, floats, free } from './wasm-heap.ts';

/** Kernel `Cast`. */
export function cast(call: WasmCall<'x', CastAttrs>): TensorInfo {
  const { inputs, attrs, backend } = call;
  const { x } = inputs;
  const { dtype } = attrs;
  if (x.dtype === dtype) return identity(call);
  if (x.dtype === 'complex64') {
    const part = real({ inputs: { input: x }, attrs: {}, backend });
    const out = cast({ inputs: { x: part }, attrs, backend });
    free(backend, part);
    return out;
  }
  if (dtype === 'complex64') {
    const part = cast({ inputs: { x }, attrs: { dtype: 'float32' }, backend });
    const zeros = allocate(backend, x.shape);
    floats(backend, zeros).fill(0);
    const out = complex({ inputs: { real: part, imag: zeros }, attrs: {}, backend });
    free(backend, part, zeros);
    return out;
  }
  if (dtype !== 'bool') return runPackageKernel(backend, 'Cast', inputs, { ...attrs });
  const out = allocate(backend, x.shape, 'bool');
  const from = elements(backend, x);
  const to = elements(backend, out);
  for (let i = 0; i < to.length; i++) to[i] = from[i] === 0 ? 0 : 1;
  return out;
}
