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

/** The whole heap as float32, for kernels that move blocks between tensors; index it with `wordOffset`. */
export function heapFloats(backend: BackendWasm): Float32Array {
  return new Float32Array(heap(backend).buffer);
}

/** The whole heap as 32-bit words, for moves that must not look at the values. */
export function heapWords(backend: BackendWasm): Int32Array {
  return new Int32Array(heap(backend).buffer);
}

/** Where a tensor begins in `heapFloats` and `heapWords`. */
export function wordOffset(backend: BackendWasm, x: TensorInfo): number {
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

/**
 * A tensor inside another one: `shape` elements from element `start` of float32 `x`, without a copy. Give it back with
 * `closeWindow`, before `x` is freed.
 */
export function openWindow(
  backend: BackendWasm,
  x: TensorInfo,
  start: number,
  shape: readonly number[],
): TensorInfo {
  return backend.makeOutput([...shape], x.dtype, offset(backend, x) + 4 * start);
}

/** Ends a window: the engine forgets it, and what it cached for it, but its memory stays with the tensor around it. */
export function closeWindow(backend: BackendWasm, window: TensorInfo): void {
  const { id } = backend.dataIdMap.get(window.dataId);
  (backend.wasm as unknown as Emscripten).tfjs.disposeData(id);
  backend.dataIdMap.delete(window.dataId);
}

/** Number of elements of a tensor of this shape. */
export function sizeOf(shape: readonly number[]): number {
  let size = 1;
  for (const dim of shape) size *= dim;
  return size;
}

/** What the declarations of the package leave out of its module. */
interface Emscripten {
  readonly HEAPU8: Uint8Array;
  readonly tfjs: { disposeData(id: number): void };
}

function heap(backend: BackendWasm): Uint8Array {
  return (backend.wasm as unknown as Emscripten).HEAPU8;
}

function offset(backend: BackendWasm, x: TensorInfo): number {
  return backend.getMemoryOffset(x.dataId);
}
