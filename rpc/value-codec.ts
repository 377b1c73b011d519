/**
 * Plain values as bytes and back: the closed set of guarantee G1. null, undefined, booleans, numbers, bigints, strings,
 * bytes, dates, arrays, Maps, Sets, plain records and tensors; further types enter as extensions (RRef, WorkerInfo).
 * Anything else is refused where it is sent, with the path of the offending field. Nothing received is ever code.
 */
import { types } from 'node:util';
import { GradwireError } from '../errors.ts';
import { ByteReader, ByteWriter } from './bytes.ts';

/** A type beyond the built-in ones: how to tell it, and what plain value stands for it on the wire. */
export interface Extension<T = unknown> {
  /** Wire number, 0 to 255. */
  readonly tag: number;
  is(value: unknown): value is T;
  encode(value: T): unknown;
  /** Throws a GradwireError when the plain value is not what `encode` makes. */
  decode(plain: unknown): T;
}

const MAX_DEPTH = 100;
const TAG = {
  undefined: 0,
  null: 1,
  false: 2,
  true: 3,
  int32: 4,
  float64: 5,
  bigint: 6,
  string: 7,
  bytes: 8,
  date: 9,
  array: 10,
  map: 11,
  set: 12,
  record: 13,
  tensor: 14,
  extension: 15,
} as const;

/** Encodes values one after another into one buffer. Tensors are numbered in order of first appearance. */
export class ValueEncoder {
  readonly writer: ByteWriter = new ByteWriter();
  readonly #extensions: readonly Extension[];
  /** Number of the tensor, or undefined if the value is none. */
  readonly #tensorIndex: (value: object) => number | undefined;
  #path: (string | number)[] = [];
  #ancestors: object[] = [];

  constructor(
    extensions: readonly Extension[],
    tensorIndex: (value: object) => number | undefined,
  ) {
    this.#extensions = extensions;
    this.#tensorIndex = tensorIndex;
  }

  /** @param root what the value is called in messages, such as `arguments` */
  encode(value: unknown, root: string): void {
    this.#path = [root];
    this.#ancestors = [];
    this.#value(value);
  }

  #value(value: unknown): void {
    const out = this.writer;
    switch (typeof value) {
      case 'undefined':
        return out.u8(TAG.undefined);
      case 'boolean':
        return out.u8(value ? TAG.true : TAG.false);
      case 'number':
        if ((value | 0) === value && !Object.is(value, -0)) {
          out.u8(TAG.int32);
          return out.i32(value);
        }
        out.u8(TAG.float64);
        return out.f64(value);
      case 'bigint':
        out.u8(TAG.bigint);
        return out.string(value.toString(16));
      case 'string':
        out.u8(TAG.string);
        return out.string(value);
      case 'object':
        return value === null ? out.u8(TAG.null) : this.#object(value);
      case 'function':
        throw this.#refusal(
          `the function ${value.name || '(anonymous)'}; functions are never sent: register it and call it by name`,
        );
      case 'symbol':
        throw this.#refusal('a symbol');
    }
  }

  #object(value: object): void {
    const out = this.writer;
    const tensor = this.#tensorIndex(value);
    if (tensor !== undefined) {
      out.u8(TAG.tensor);
      return out.u32(tensor);
    }
    for (const extension of this.#extensions) {
      if (!extension.is(value)) continue;
      out.u8(TAG.extension);
      out.u8(extension.tag);
      return this.#value(extension.encode(value));
    }
    if (types.isUint8Array(value)) {
      out.u8(TAG.bytes);
      return out.bytes(value);
    }
    if (types.isDate(value)) {
      out.u8(TAG.date);
      return out.f64(value.getTime());
    }
    this.#enter(value);
    if (Array.isArray(value)) this.#array(value);
    else if (types.isMap(value)) this.#map(value);
    else if (types.isSet(value)) this.#set(value);
    else if (isRecord(value)) this.#record(value);
    else throw this.#refusal(describe(value));
    this.#ancestors.pop();
  }

  #enter(value: object): void {
    if (this.#ancestors.includes(value)) throw this.#refusal('a value that contains itself');
    if (this.#ancestors.length >= MAX_DEPTH) {
      throw this.#refusal(`a value nested more than ${MAX_DEPTH} deep`);
    }
    this.#ancestors.push(value);
  }

  #at(key: string | number, value: unknown): void {
    this.#path.push(key);
    this.#value(value);
    this.#path.pop();
  }

  #array(value: readonly unknown[]): void {
    this.writer.u8(TAG.array);
    this.writer.u32(value.length);
    for (let i = 0; i < value.length; i++) this.#at(i, value[i]);
  }

  #map(value: ReadonlyMap<unknown, unknown>): void {
    this.writer.u8(TAG.map);
    this.writer.u32(value.size);
    let i = 0;
    for (const [key, entry] of value) {
      this.#at(`key ${i}`, key);
      this.#at(`entry ${i++}`, entry);
    }
  }

  #set(value: ReadonlySet<unknown>): void {
    this.writer.u8(TAG.set);
    this.writer.u32(value.size);
    let i = 0;
    for (const entry of value) this.#at(i++, entry);
  }

  #record(value: Readonly<Record<string, unknown>>): void {
    const keys = Object.keys(value);
    this.writer.u8(TAG.record);
    this.writer.u32(keys.length);
    for (const key of keys) {
      if (key === '__proto__') throw this.#refusal('a field named __proto__');
      this.writer.string(key);
      this.#at(key, value[key]);
    }
  }

  #refusal(what: string): GradwireError {
    const [root, ...rest] = this.#path;
    const path = rest.reduce<string>(
      (text, key) => text + (typeof key === 'number' ? `[${key}]` : `.${key}`),
      String(root),
    );
    return new GradwireError('unsupported_value', `${path} is ${what}`, { maybeExecuted: false });
  }
}

/** Decodes what `ValueEncoder` wrote; malformed bytes are a `protocol_error`. Counts are checked before allocation. */
export class ValueDecoder {
  readonly #reader: ByteReader;
  readonly #extensions: ReadonlyMap<number, Extension>;
  readonly #tensor: (index: number) => unknown;
  #depth = 0;

  constructor(
    bytes: Uint8Array,
    extensions: ReadonlyMap<number, Extension>,
    tensor: (index: number) => unknown,
  ) {
    this.#reader = new ByteReader(bytes);
    this.#extensions = extensions;
    this.#tensor = tensor;
  }

  /** The next value. */
  decode(): unknown {
    if (this.#depth > 2 * MAX_DEPTH) throw this.#reader.malformed('values nested too deep');
    this.#depth++;
    const value = this.#value();
    this.#depth--;
    return value;
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
        return from.bytes();
      case TAG.date:
        return new Date(from.f64());
      case TAG.array:
        return this.#list();
      case TAG.map:
        return this.#map();
      case TAG.set:
        return new Set(this.#list());
      case TAG.record:
        return this.#record();
      case TAG.tensor:
        return this.#tensor(from.u32());
      case TAG.extension:
        return this.#extension(from.u8());
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

  #record(): Record<string, unknown> {
    const count = this.#reader.count(5);
    const record: Record<string, unknown> = {};
    for (let i = 0; i < count; i++) {
      const key = this.#reader.string();
      if (key === '__proto__') throw this.#reader.malformed('a field named __proto__');
      record[key] = this.decode();
    }
    return record;
  }

  #bigint(hex: string): bigint {
    if (!/^-?[0-9a-f]+$/.test(hex)) throw this.#reader.malformed('a bigint that is no number');
    return hex.startsWith('-') ? -BigInt(`0x${hex.slice(1)}`) : BigInt(`0x${hex}`);
  }

  #extension(tag: number): unknown {
    const extension = this.#extensions.get(tag);
    if (extension === undefined)
      throw this.#reader.malformed(`a value of unknown extension ${tag}`);
    return extension.decode(this.decode());
  }
}

/** Plain objects of any realm: those whose prototype is null or a root prototype. */
function isRecord(value: object): value is Record<string, unknown> {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function describe(value: object): string {
  if (types.isPromise(value)) return 'a promise; await it before you send it';
  const name: unknown = value.constructor?.name;
  return `an object of class ${typeof name === 'string' && name !== '' ? name : '(none)'}, which cannot be sent`;
}
