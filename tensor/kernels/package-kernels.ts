/**
 * The kernels that the wasm package brings, as they were before any was replaced: what the replacements are made of. It
 * must be loaded before kernels.ts installs anything.
 */
import {
  type Attribute,
  getKernelsForBackend,
  type KernelConfig,
  type TensorInfo,
} from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-wasm';
import type { BackendWasm } from './wasm-heap.ts';

/** What a kernel of the wasm engine is given: the inputs and attributes that tfjs-core names for it. */
export interface WasmCall<Names extends string, Attrs = unknown> {
  readonly inputs: Readonly<Record<Names, TensorInfo>>;
  readonly attrs: Attrs;
  readonly backend: BackendWasm;
}

const originals: ReadonlyMap<string, KernelConfig> = new Map(
  getKernelsForBackend('wasm').map((kernel) => [kernel.kernelName, kernel]),
);

/** The package's own kernel; undefined where it has none. */
export function packageKernel(name: string): KernelConfig | undefined {
  return originals.get(name);
}

/** Runs the package's own kernel: nothing is recorded, and the caller frees the result. */
export function runPackageKernel(
  backend: BackendWasm,
  name: string,
  inputs: Readonly<Record<string, TensorInfo>>,
  attrs: Readonly<Record<string, unknown>>,
): TensorInfo {
  const kernel = originals.get(name);
  if (kernel === undefined) throw new Error(`the wasm package has no kernel ${name}`);
  const known = attrs as Record<string, Attribute>;
  return kernel.kernelFunc({ inputs: { ...inputs }, attrs: known, backend }) as TensorInfo;
}
