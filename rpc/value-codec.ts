/**
 * What the values of a message are made of: the closed set of guarantee G3, its numbers on the wire, its limits, and how
 * further types enter. `value-encoder.ts` writes, `value-decoder.ts` reads. Knows neither messages nor workers.
 *
 * - null, undefined, booleans, numbers (NaN, -0 and infinities too), bigints, strings (lone surrogates too), dates: as they are.
 * - ArrayBuffer, DataView and all typed arrays of numbers: copies of the same class; a Buffer arrives as a Uint8Array.
 *   Float16Array, which not every Node has, and shared memory are refused.
 * - Arrays (a hole arrives as undefined), Maps, Sets, plain records (those without a prototype too): element by element. Of
 *   arrays the elements travel alone: fields that they have besides are left behind, and the match of a regular expression is
 *   refused. Of records the own enumerable fields travel; a symbol as a key is refused.
 * - Tensors, SparseSlices, RRefs, WorkerInfos, errors, instances of classes given to `registerValue`.
 *
 * Anything else is refused where it is sent, with the path of the field: functions, symbols, accessors, promises, instances of
 * other classes, what contains itself, memory that was transferred away, proxies that throw. An object that stands in two places is copied for each; a tensor stays one.
 */

/** A type beyond the built-in ones: how to tell it, and what plain value stands for it on the wire. */
export interface Extension<T = unknown> {
  /** Wire number, 0 to 255. */
  readonly tag: number;
  is(value: unknown): value is T;
  encode(value: T): unknown;
  /** Throws a GradwireError when the plain value is not what `encode` makes. */
  decode(plain: unknown): T;
}

/** Objects in objects at the sender; what stands for an instance counts too. */
export const MAX_DEPTH = 100;

/** Values in one message. Below what a Map or Set can hold; bulk data belongs in tensors and typed arrays. */
export const MAX_VALUES: number = 2 ** 24 - 1;

/** Hexadecimal digits of a bigint. */
export const MAX_BIGINT_DIGITS: number = 2 ** 20;

/** Binary data up to this length stands among the values; longer data travels beside them, as tensors do. */
export const MAX_INLINE_BYTES = 4096;

/** The first byte of a value. Part of the wire format: never renumbered. */
export const TAG = {
  undefined: 0,
  null: 1,
  false: 2,
  true: 3,
  int32: 4, //     i32
  float64: 5, //   f64
  bigint: 6, //    string of hexadecimal digits
  string: 7,
  bytes: 8, //     class u8, length u32, bytes
  date: 9, //      f64, milliseconds
  array: 10, //    count u32, values
  map: 11, //      count u32, keys and entries
  set: 12, //      count u32, values
  record: 13, //   count u32, keys (strings) and values
  tensor: 14, //   number u32
  extension: 15, // tag u8, value
  attached: 16, // class u8, number u32 of the attachment
  bare: 17, //     as record: without a prototype
  instance: 18, // name of the class (string), value
} as const;
