/**
 * Bytes to values: reads what `value-encoder.ts` wrote. Malformed bytes are a `protocol_error`; counts and depth are checked
 * before anything is allocated (guarantee G8), and what is named is looked up, never run (G3).
 */
import { makeBinary } from './binary.ts';
import { ByteReader } from './bytes.ts';
import { makeInstance } from './value-classes.ts';
import { type Extension, MAX_BIGINT_DIGITS, MAX_DEPTH, MAX_VALUES, TAG } from './value-codec.ts';

/** What came beside the values; undefined for a number that there is not. */
export interface Attached {
  tensor(index: number): unknown;
  /** Given out once, so that few bytes cannot become many copies. */
  bytes(index: number): Uint8Array | undefined;
}

export class ValueDecoder {
  readonly #reader: ByteReader;
  readonly #extensions: ReadonlyMap<number, Extension>;
  readonly #attached: Attached;
  /** Extension values that have an end, such as references. */
  readonly #made: Disposable[] = [];
  #depth = 0;
  #count = 0;

  constructor(bytes: Uint8Array, extensions: ReadonlyMap<number, Extension>, attached: Attached) {
    this.#reader = new ByteReader(bytes);
    this.#extensions = extensions;
    this.#attached = attached;
  }

  /**
   * The next value.
   *
   * @throws GradwireError `protocol_error`; `unknown_function` and `unsupported_value` from value classes
   */
  decode(): unknown {
    if (this.#depth > 2 * MAX_DEPTH) throw this.#reader.malformed('values nested too deep');
    if (++this.#count > MAX_VALUES) throw this.#reader.malformed('too many values');
    this.#depth++;
    const value = this.#value();
    this.#depth--;
    return value;
  }

  /** Lets go of the references that were made: the rest could not be read. */
  abandon(): void {
    for (const made of this.#made.splice(0)) made[Symbol.dispose]();
  }

  #value(): unknown {
    const from = this.#reader;
    const tag = from.u8();
    switch (tag) {
      case TAG.undefined:
        return undefined;
      case TAG.null:
        return null;
      case TAG.false:
        return false;
      case TAG.true:
        return true;
      case TAG.int32:
        return from.i32();
      case TAG.float64:
        return from.f64();
      case TAG.bigint:
        return this.#bigint(from.string());
      case TAG.string:
        return from.string();
      case TAG.bytes:
        return this.#binary(from.u8(), from.bytes());
      case TAG.date:
        return new Date(from.f64());
      case TAG.array:
        return this.#list();
      case TAG.map:
        return this.#map();
      case TAG.set:
        return new Set(this.#list());
      case TAG.record:
        return this.#record({});
      case TAG.tensor:
        return this.#tensor(from.u32());
      case TAG.extension:
        return this.#extension(from.u8());
      case TAG.attached:
        return this.#binary(from.u8(), this.#attached.bytes(from.u32()));
      case TAG.bare:
        return this.#record(Object.create(null) as Record<string, unknown>);
      case TAG.instance:
        return makeInstance(from.string(), this.decode());
      default:
        throw from.malformed(`a value of unknown type ${tag}`);
    }
  }

  #list(): unknown[] {
    const count = this.#reader.count(1);
    const list: unknown[] = [];
    for (let i = 0; i < count; i++) list.push(this.decode());
    return list;
  }

  #map(): Map<unknown, unknown> {
    const count = this.#reader.count(2);
    const map = new Map<unknown, unknown>();
    for (let i = 0; i < count; i++) map.set(this.decode(), this.decode());
    return map;
  }

  #record(record: Record<string, unknown>): Record<string, unknown> {
    const count = this.#reader.count(5);
    for (let i = 0; i < count; i++) {
      const key = this.#reader.string();
      if (key === '__proto__') throw this.#reader.malformed('a field named __proto__');
      record[key] = this.decode();
    }
    return record;
  }

  #bigint(hex: string): bigint {
    if (hex.length > MAX_BIGINT_DIGITS || !/^-?[0-9a-f]+$/.test(hex)) {
      throw this.#reader.malformed('a bigint that is no number');
    }
    return hex.startsWith('-') ? -BigInt(`0x${hex.slice(1)}`) : BigInt(`0x${hex}`);
  }

  #binary(kind: number, bytes: Uint8Array | undefined): unknown {
    const made = bytes && makeBinary(kind, bytes);
    if (made === undefined) throw this.#reader.malformed('binary data of no class');
    return made;
  }

  #tensor(index: number): unknown {
    const tensor = this.#attached.tensor(index);
    if (tensor === undefined) throw this.#reader.malformed(`no tensor ${index}`);
    return tensor;
  }

  #extension(tag: number): unknown {
    const extension = this.#extensions.get(tag);
    if (extension === undefined) {
      throw this.#reader.malformed(`a value of unknown extension ${tag}`);
    }
    const made = extension.decode(this.decode());
    if (isDisposable(made)) this.#made.push(made);
    return made;
  }
}

function isDisposable(value: unknown): value is Disposable {
  return typeof value === 'object' && value !== null && Symbol.dispose in value;
}
