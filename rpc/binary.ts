/**
 * Binary data by class: ArrayBuffer, DataView and the typed arrays. It arrives as a copy in memory of its own, so that it is
 * aligned for its class wherever the bytes came from. Bytes are little endian. Pure.
 */
import { types } from 'node:util';

export type Binary = ArrayBuffer | ArrayBufferView;

interface BinaryKind {
  readonly elementBytes: number;
  over(memory: ArrayBuffer): Binary;
}

interface TypedArrayClass {
  readonly BYTES_PER_ELEMENT: number;
  new (memory: ArrayBuffer): ArrayBufferView;
}

function typedArray(Class: TypedArrayClass): BinaryKind {
  return { elementBytes: Class.BYTES_PER_ELEMENT, over: (memory) => new Class(memory) };
}

/** The place in this list is the number on the wire: append only. */
const KINDS: readonly (readonly [string, BinaryKind])[] = [
  ['Uint8Array', typedArray(Uint8Array)],
  ['ArrayBuffer', { elementBytes: 1, over: (memory) => memory }],
  ['DataView', { elementBytes: 1, over: (memory) => new DataView(memory) }],
  ['Int8Array', typedArray(Int8Array)],
  ['Uint8ClampedArray', typedArray(Uint8ClampedArray)],
  ['Int16Array', typedArray(Int16Array)],
  ['Uint16Array', typedArray(Uint16Array)],
  ['Int32Array', typedArray(Int32Array)],
  ['Uint32Array', typedArray(Uint32Array)],
  ['Float32Array', typedArray(Float32Array)],
  ['Float64Array', typedArray(Float64Array)],
  ['BigInt64Array', typedArray(BigInt64Array)],
  ['BigUint64Array', typedArray(BigUint64Array)],
];
const NUMBERS: ReadonlyMap<string, number> = new Map(KINDS.map(([name], number) => [name, number]));

/** Gives the built-in class of a typed array, whatever its realm and its subclass, such as Buffer. */
const classNameOf = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag,
)?.get as () => string;

/** The number of the class of binary data; undefined for all other values, for memory that is shared and for Float16Array. */
export function binaryKindOf(value: object): number | undefined {
  if (types.isTypedArray(value)) return NUMBERS.get(classNameOf.call(value));
  if (types.isDataView(value)) return NUMBERS.get('DataView');
  return types.isArrayBuffer(value) ? NUMBERS.get('ArrayBuffer') : undefined;
}

/** The bytes of binary data: a view. */
export function bytesOf(value: Binary): Uint8Array {
  if (!ArrayBuffer.isView(value)) return new Uint8Array(value);
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
}

/** Binary data of the class with this number, with a copy of `bytes`; undefined if they are not of that class. */
export function makeBinary(kind: number, bytes: Uint8Array): Binary | undefined {
  const [, found] = KINDS[kind] ?? [];
  if (found === undefined || bytes.byteLength % found.elementBytes !== 0) return undefined;
  return found.over(new Uint8Array(bytes).buffer);
}
