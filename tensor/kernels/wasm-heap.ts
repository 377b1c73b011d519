/**
 * Views of tensors inside the heap of the wasm engine: the only place that makes them. Any allocation may grow the heap,
 * and growing detaches every view, so a view is taken after the last allocation and never kept.
 */
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import type { DataType, TensorInfo } from '@tensorflow/tfjs-core';

export type { BackendWasm };

/** The elements of a float32 tensor. */
export function floats(backend: BackendWasm, x: TensorInfo): Float32Array {
  return new Float32Array(heap(backend).buffer, offset(backend, x), sizeOf(x.shape));
}

/** The elements of an int32 tensor. */
export function ints(backend: BackendWasm, x: TensorInfo): Int32Array {
  return new Int32Array(heap(backend).buffer, offset(backend, x), sizeOf(x.shape));
}

/** `byteLength` bytes from the beginning of a tensor of any dtype but string. */
export function bytes(backend: BackendWasm, x: TensorInfo, byteLength: number): Uint8Array {
  return new Uint8Array(heap(backend).buffer, offset(backend, x), byteLength);
}

/** The elements of a tensor of any dtype that has numbers. */
export function elements(
  backend: BackendWasm,
  x: TensorInfo,
): Float32Array | Int32Array | Uint8Array {
  switch (x.dtype) {
    case 'float32':
      return floats(backend, x);
    case 'int32':
      return ints(backend, x);
    case 'bool':
      return bytes(backend, x, sizeOf(x.shape));
    case 'complex64':
      return new Float32Array(heap(backend).buffer, offset(backend, x), 2 * sizeOf(x.shape));
    default:
      throw new Error(`the wasm heap holds no ${x.dtype} tensors`);
  }
}

/** The whole heap as float32, for kernels that move blocks between tensors; index it with `floatOffset`. */
export function heapFloats(backend: BackendWasm): Float32Array {
  return new Float32Array(heap(backend).buffer);
}

/** Where a tensor begins in `heapFloats`. */
export function floatOffset(backend: BackendWasm, x: TensorInfo): number {
  return offset(backend, x) >>> 2;
}

/** A new tensor with unset elements; it may grow the heap. */
export function allocate(
  backend: BackendWasm,
  shape: readonly number[],
  dtype: DataType = 'float32',
): TensorInfo {
  return backend.makeOutput([...shape], dtype);
}

/** The same data under another shape, with a reference of its own: free it like any other. */
export function view(backend: BackendWasm, x: TensorInfo, shape: readonly number[]): TensorInfo {
  backend.incRef(x.dataId);
  return { dataId: x.dataId, shape: [...shape], dtype: x.dtype };
}

/** Gives up one reference of each tensor. */
export function free(backend: BackendWasm, ...tensors: readonly TensorInfo[]): void {
  for (const { dataId } of tensors) backend.disposeData(dataId);
}

export function sizeOf(shape: readonly number[]): number {
  let size = 1;
  for (const dim of shape) size *= dim;
  return size;
}

function heap(backend: BackendWasm): Uint8Array {
  // Emscripten's own declarations, which are not installed, have this field.
  return (backend.wasm as unknown as { readonly HEAPU8: Uint8Array }).HEAPU8;
}

function offset(backend: BackendWasm, x: TensorInfo): number {
  return backend.getMemoryOffset(x.dataId);
}
