/**
 * Kernel `Identity` for the wasm engine, whose own copies all elements, though data is counted by reference and never
 * written to: every tensor that a gradient saves would be held twice.
 */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { WasmCall } from './package-kernels.ts';
import { view } from './wasm-heap.ts';

/** Kernel `Identity`: the same data once more. */
export function identity({ inputs: { x }, backend }: WasmCall<'x'>): TensorInfo {
  return view(backend, x, x.shape);
}
