/**
 * Kernels `Complex`, `Real` and `Imag` for the wasm engine, which has none: a complex64 tensor lies in the heap as pairs
 * (real, imaginary), as on the wire. Words are moved as integers, so that a NaN keeps its bits.
 */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { WasmCall } from './package-kernels.ts';
import {
  allocate,
  type BackendWasm,
  elements,
  heapWords,
  sizeOf,
  wordOffset,
} from './wasm-heap.ts';

/** Kernel `Complex`. */
export function complex({ inputs, backend }: WasmCall<'real' | 'imag'>): TensorInfo {
  const { real, imag } = inputs;
  const out = allocate(backend, real.shape, 'complex64');
  const words = heapWords(backend);
  const count = sizeOf(real.shape);
  const to = wordOffset(backend, out);
  const re = wordOffset(backend, real);
  const im = wordOffset(backend, imag);
  for (let i = 0; i < count; i++) {
    words[to + 2 * i] = words[re + i] as number;
    words[to + 2 * i + 1] = words[im + i] as number;
  }
  return out;
}

/** Kernel `Real`. */
export function real({ inputs, backend }: WasmCall<'input'>): TensorInfo {
  return part(backend, inputs.input, 0);
}

/** Kernel `Imag`. */
export function imag({ inputs, backend }: WasmCall<'input'>): TensorInfo {
  return part(backend, inputs.input, 1);
}

function part(backend: BackendWasm, x: TensorInfo, which: 0 | 1): TensorInfo {
  const out = allocate(backend, x.shape, 'float32');
  const words = heapWords(backend);
  const count = sizeOf(x.shape);
  const from = wordOffset(backend, x) + which;
  const to = wordOffset(backend, out);
  for (let i = 0; i < count; i++) words[to + i] = words[from + 2 * i] as number;
  return out;
}

/** Lets `data()` and `dataSync()` read complex64 tensors, which the package refuses. */
export function makeComplexReadable(backend: BackendWasm): void {
  const readSync = backend.readSync.bind(backend);
  backend.readSync = (dataId, start, end) => {
    const { dtype, shape } = backend.dataIdMap.get(dataId);
    if (dtype !== 'complex64') return readSync(dataId, start, end);
    const all = elements(backend, { dataId, shape, dtype });
    return all.slice(2 * (start ?? 0), end === undefined ? undefined : 2 * end);
  };
}
