/**
 * The five dtypes of a tensor: their numbers on the wire and the size of an element. One table, read by the codec and by
 * whoever frames messages; it knows neither tensors nor engines.
 */

/** What the wire and the codec know about one dtype. */
export interface DTypeInfo {
  /** Number of the dtype in messages; never reused, never renumbered. */
  readonly wireId: number;
  /** Bytes of one element, or of the shortest one where elements differ in length. */
  readonly elementBytes: number;
  /** Whether elements differ in length, so that `elementBytes` is only a lower bound. */
  readonly isVariable: boolean;
  /** The typed array that holds the elements; strings have none. */
  readonly array: 'Float32Array' | 'Int32Array' | 'Uint8Array' | undefined;
}

/** Name of a dtype, as tensorflow.js has it. */
export type DType = 'float32' | 'int32' | 'bool' | 'complex64' | 'string';

/** Every dtype with what is known about it. */
export const DTYPES: Readonly<Record<DType, DTypeInfo>> = {
  float32: { wireId: 1, elementBytes: 4, isVariable: false, array: 'Float32Array' },
  int32: { wireId: 2, elementBytes: 4, isVariable: false, array: 'Int32Array' },
  bool: { wireId: 3, elementBytes: 1, isVariable: false, array: 'Uint8Array' },
  // Real and imaginary parts alternate.
  complex64: { wireId: 4, elementBytes: 8, isVariable: false, array: 'Float32Array' },
  // Each element is its length in bytes (u32, little endian) and its bytes, so 4 for the empty string.
  string: { wireId: 5, elementBytes: 4, isVariable: true, array: undefined },
};

const byWireId: ReadonlyMap<number, DType> = new Map(
  Object.entries(DTYPES).map(([name, info]) => [info.wireId, name as DType]),
);

/** Whether `name` is a dtype; for values that come from outside. */
export function isDType(name: unknown): name is DType {
  return typeof name === 'string' && Object.hasOwn(DTYPES, name);
}

/** The dtype with this number on the wire, undefined if there is none. */
export function dtypeOfWireId(wireId: number): DType | undefined {
  return byWireId.get(wireId);
}
