/**
 * Tensors to bytes and back: the only file that builds typed-array views over bytes from elsewhere. Bytes are little
 * endian, row-major, without padding; a header describes them. It runs no operation, so nothing is recorded on a tape,
 * and it knows nothing of messages. Headers are checked before anything is allocated (guarantee G8).
 */
import { types } from 'node:util';
import type { KernelBackend, TensorInfo } from '@tensorflow/tfjs-core';
import { GradwireError } from '../errors.ts';
import { outside } from './async-slot.ts';
import { DTYPES, type DType, isDType } from './dtype.ts';
import { type BackendWasm, bytes as heapBytes } from './kernels/wasm-heap.ts';
import { madeBy } from './makers.ts';
import { decodeStrings, encodeStrings } from './string-table.ts';
import * as tf from './tf.ts';

/** What is told about a tensor before its bytes. */
export interface TensorHeader {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly byteLength: number;
}

/** A tensor as bytes. */
export interface TensorBytes {
  readonly header: TensorHeader;
  /** A snapshot: later writes to the tensor, or its disposal, do not reach it. */
  readonly bytes: Uint8Array;
}

const MAX_RANK = 6;

/**
 * The elements of a tensor or variable as bytes, bit for bit. float32, int32 and bool as they are, complex64 as pairs
 * (real, imaginary), strings as a table of `[u32 length][bytes]`.
 *
 * Synchronous on the engines `wasm` and `cpu`, so that a caller can take the snapshot at once; a promise elsewhere. The
 * tensor stays its owner's: it is read, not consumed.
 *
 * @throws GradwireError `tensor_freed` if the tensor was disposed
 */
export function readTensor(tensor: tf.Tensor): TensorBytes | Promise<TensorBytes> {
  if (tensor.isDisposed) {
    throw new GradwireError(
      'tensor_freed',
      `tensor ${tensor.id} of shape [${tensor.shape}] was disposed before it could be sent${madeBy(tensor.scopeId)}`,
    );
  }
  const backend = backendOf(tensor);
  const { wasm, cpu } = tf.engine().registry;
  if (backend === wasm) return wrap(tensor, readWasm(backend as BackendWasm, tensor));
  if (backend === cpu) return wrap(tensor, readCpu(backend as CpuBackend, tensor));
  return readAsync(tensor);
}

/**
 * Checks what a peer says about a tensor, before anything is allocated for it.
 *
 * @param limitBytes largest `byteLength` that is accepted
 * @throws GradwireError `message_too_large` over the limit; `protocol_error` for an unknown dtype, a rank over 6, a
 *   dimension that is not a safe non-negative integer, or a length that does not follow from shape and dtype
 */
export function checkHeader(header: TensorHeader, limitBytes: number): void {
  const { dtype, shape, byteLength } = header;
  if (!isDType(dtype)) throw malformed(`unknown dtype ${shown(dtype)}`);
  if (!Array.isArray(shape) || shape.length > MAX_RANK) {
    throw malformed(`the shape is not a list of at most ${MAX_RANK} dimensions`);
  }
  if (!isSize(byteLength)) throw malformed(`byte length ${shown(byteLength)}`);
  if (byteLength > limitBytes) {
    throw new GradwireError(
      'message_too_large',
      `a tensor of ${byteLength} bytes is over the limit of ${limitBytes} bytes`,
    );
  }
  let count = 1;
  for (const dim of shape) {
    if (!isSize(dim)) throw malformed(`dimension ${shown(dim)}`);
    count *= dim;
  }
  const { elementBytes, isVariable } = DTYPES[dtype];
  const least = count * elementBytes;
  if (byteLength === least || (isVariable && byteLength > least && count > 0)) return;
  throw malformed(
    `${byteLength} bytes for ${dtype} of shape [${shape}], which takes ${isVariable ? 'at least ' : ''}${least}`,
  );
}

/**
 * A tensor from bytes that `readTensor` made, tracked by the current scope. The caller may reuse `bytes` as soon as this
 * returns, and they need no alignment. Owner of the result: the caller, or the scope it stands in.
 *
 * @throws GradwireError `protocol_error` if header, bytes or the string table in them do not fit each other
 */
export function makeTensor(header: TensorHeader, bytes: Uint8Array): tf.Tensor {
  checkHeader(header, Number.MAX_SAFE_INTEGER);
  if (bytes.byteLength !== header.byteLength) {
    throw malformed(`${bytes.byteLength} bytes where the header says ${header.byteLength}`);
  }
  const { dtype } = header;
  const shape = [...header.shape];
  const engine = tf.engine();
  const backend = engine.backend;
  if (dtype === 'string') {
    // Engines hold strings as bytes, which the declared type of `makeTensor` leaves out.
    const elements: unknown = decodeStrings(bytes, product(shape));
    return engine.makeTensor(elements as string[], shape, dtype);
  }
  // The wasm engine copies the bytes of whatever array it gets into its heap, so they need neither alignment nor a copy.
  const { wasm } = engine.registry;
  if (backend === wasm) return engine.makeTensor(bytes, shape, dtype);
  if (dtype === 'complex64') return makeComplex(backend, bytes, shape);
  return engine.makeTensor(copyAs(dtype, bytes), shape, dtype);
}

/** The engine `cpu`, as far as reading needs it. */
interface CpuBackend extends KernelBackend {
  readonly data: {
    get(dataId: object): {
      readonly values?: unknown;
      readonly complexTensorInfos?: { readonly real: TensorInfo; readonly imag: TensorInfo };
    };
  };
}

function backendOf(tensor: tf.Tensor): KernelBackend | undefined {
  return tf.engine().state.tensorInfo.get(tensor.dataId)?.backend;
}

function wrap(tensor: tf.Tensor, bytes: Uint8Array): TensorBytes {
  const header = { dtype: tensor.dtype, shape: [...tensor.shape], byteLength: bytes.byteLength };
  return { header, bytes };
}

function readWasm(backend: BackendWasm, tensor: tf.Tensor): Uint8Array {
  if (tensor.dtype === 'string') {
    return encodeStrings(backend.readSync(tensor.dataId) as unknown as Uint8Array[]);
  }
  return heapBytes(backend, tensor, tensor.size * DTYPES[tensor.dtype].elementBytes).slice();
}

function readCpu(backend: CpuBackend, tensor: tf.Tensor): Uint8Array {
  const { values, complexTensorInfos: parts } = backend.data.get(tensor.dataId);
  if (parts === undefined) return snapshot(values, tensor.dtype);
  return interleave(
    rawBytes(backend.data.get(parts.real.dataId).values, 'float32'),
    rawBytes(backend.data.get(parts.imag.dataId).values, 'float32'),
  );
}

/** What is read is what the tensor was at the call: its owner may free it meanwhile. */
async function readAsync(tensor: tf.Tensor): Promise<TensorBytes> {
  const held = outside(() => tf.keep(tf.clone(tensor)));
  try {
    const values = held.dtype === 'string' ? await held.bytes() : await held.data();
    return wrap(held, snapshot(values, held.dtype));
  } finally {
    held.dispose();
  }
}

function snapshot(values: unknown, dtype: DType): Uint8Array {
  if (dtype === 'string') return encodeStrings(values as Uint8Array[]);
  return rawBytes(values, dtype).slice();
}

/** The bytes of the values of an engine, which are not always in the array that their dtype promises. */
function rawBytes(values: unknown, dtype: DType): Uint8Array {
  const { is, make } = ARRAYS[DTYPES[dtype].array ?? 'Uint8Array'];
  const array = is(values) ? values : make.from(values as ArrayLike<number>);
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

// Arrays may come from another realm, where `instanceof` fails.
const ARRAYS = {
  Float32Array: { is: types.isFloat32Array, make: Float32Array },
  Int32Array: { is: types.isInt32Array, make: Int32Array },
  Uint8Array: { is: types.isUint8Array, make: Uint8Array },
} as const;

/** An aligned copy in the typed array of the dtype. */
function copyAs(dtype: DType, bytes: Uint8Array): Float32Array | Int32Array | Uint8Array {
  // Not `slice`, which for a Buffer shares memory.
  const copy = new Uint8Array(bytes.byteLength);
  copy.set(bytes);
  return new ARRAYS[DTYPES[dtype].array ?? 'Uint8Array'].make(copy.buffer);
}

function makeComplex(backend: KernelBackend, bytes: Uint8Array, shape: number[]): tf.Tensor {
  const engine = tf.engine();
  const complex = tf.getKernel('Complex', engine.backendName);
  if (complex === undefined) {
    throw new GradwireError(
      'unsupported_value',
      `the engine ${engine.backendName} has no complex64 tensors`,
    );
  }
  const words = new Uint32Array(copyAs('float32', bytes).buffer);
  const write = (first: 0 | 1): TensorInfo => {
    const part = words.filter((_, i) => i % 2 === first);
    const dataId = backend.write(new Float32Array(part.buffer), shape, 'float32');
    return { dataId, shape, dtype: 'float32' };
  };
  const [real, imag] = [write(0), write(1)];
  // The kernel itself, not `tf.complex`: an operation would be recorded.
  const made = complex.kernelFunc({ inputs: { real, imag }, attrs: {}, backend }) as TensorInfo;
  backend.disposeData(real.dataId);
  backend.disposeData(imag.dataId);
  return engine.makeTensorFromTensorInfo(made, backend);
}

/** Pairs of 32-bit words; as integers, because a move as floats may change the bits of a NaN. */
function interleave(real: Uint8Array, imag: Uint8Array): Uint8Array {
  const re = new Uint32Array(real.buffer, real.byteOffset, real.byteLength / 4);
  const im = new Uint32Array(imag.buffer, imag.byteOffset, imag.byteLength / 4);
  const out = new Uint32Array(2 * re.length);
  for (let i = 0; i < re.length; i++) {
    out[2 * i] = re[i] ?? 0;
    out[2 * i + 1] = im[i] ?? 0;
  }
  return new Uint8Array(out.buffer);
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** What a peer sent in the place of a dtype or a size, which may be anything. */
function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 40));
  return typeof value === 'number' ? String(value) : `of type ${typeof value}`;
}

function product(shape: readonly number[]): number {
  return shape.reduce((size, dim) => size * dim, 1);
}

function malformed(what: string): GradwireError {
  return new GradwireError('protocol_error', `malformed tensor: ${what}`);
}
