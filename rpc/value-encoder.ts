/** Values to bytes: writes the closed set that `value-codec.ts` describes, and refuses all else by its path. */
import { types } from 'node:util';
import { GradwireError, isGradwireError, textOf } from '../errors.ts';
import { type Binary, binaryKindOf, bytesOf } from './binary.ts';
import { ByteWriter } from './bytes.ts';
import { type ValueClass, valueClassOf } from './value-classes.ts';
import {
  type Extension,
  MAX_BIGINT_DIGITS,
  MAX_DEPTH,
  MAX_INLINE_BYTES,
  MAX_VALUES,
  TAG,
} from './value-codec.ts';
import { describe, isBuiltIn, isRecord } from './value-kinds.ts';

/** What travels beside the values. */
export interface Attaching {
  /** Number of the tensor, or undefined if the value is none. */
  tensor(value: object): number | undefined;
  /** Takes a snapshot of bytes that are too many to stand among the values, and gives its number. */
  bytes(bytes: Uint8Array): number;
}

/** Encodes values one after another into one buffer. */
export class ValueEncoder {
  readonly writer: ByteWriter = new ByteWriter();
  readonly #extensions: readonly Extension[];
  readonly #attaching: Attaching;
  /** Keys from the root to the current value; empty ones for what stands for an object on the wire. */
  readonly #path: (string | number)[] = [];
  /** The objects that contain the current value: one for each key. */
  readonly #ancestors: object[] = [];
  #count = 0;

  constructor(extensions: readonly Extension[], attaching: Attaching) {
    this.#extensions = extensions;
    this.#attaching = attaching;
  }

  /**
   * @param root what the value is called in messages, such as `arguments`
   * @throws GradwireError `unsupported_value` with the path of what cannot be sent; then the encoder is of no further use
   */
  encode(value: unknown, root: string): void {
    this.#path.push(root);
    try {
      this.#value(value);
    } catch (error) {
      if (isGradwireError(error) || !this.#ancestors.some(types.isProxy)) throw error;
      throw this.#refusal(`a proxy that cannot be read: ${textOf(error)}`, error);
    }
    this.#path.pop();
  }

  #value(value: unknown): void {
    const out = this.writer;
    if (++this.#count > MAX_VALUES) {
      throw this.#refusal(
        `beyond the ${MAX_VALUES} values of one message: use tensors or typed arrays`,
      );
    }
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
        return this.#bigint(value);
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

  #bigint(value: bigint): void {
    const digits = value.toString(16);
    if (digits.length > MAX_BIGINT_DIGITS) {
      throw this.#refusal(`a bigint of more than ${MAX_BIGINT_DIGITS} hexadecimal digits`);
    }
    this.writer.u8(TAG.bigint);
    this.writer.string(digits);
  }

  #object(value: object): void {
    this.#enter(value);
    const prototype: unknown = Object.getPrototypeOf(value);
    // Most values first: these can be nothing else.
    if (prototype === Object.prototype) this.#record(value, TAG.record);
    else if (Array.isArray(value) && isBuiltIn(value)) this.#array(value);
    else if (!this.#leaf(value) && !this.#typed(value, prototype)) this.#collection(value);
    this.#ancestors.pop();
  }

  /** Tensors and binary data. */
  #leaf(value: object): boolean {
    const out = this.writer;
    const tensor = this.#attaching.tensor(value);
    if (tensor !== undefined) {
      out.u8(TAG.tensor);
      out.u32(tensor);
      return true;
    }
    const kind = binaryKindOf(value);
    if (kind === undefined) return false;
    const bytes = this.#bytesOf(value as Binary);
    const isInline = bytes.byteLength <= MAX_INLINE_BYTES;
    out.u8(isInline ? TAG.bytes : TAG.attached);
    out.u8(kind);
    if (isInline) out.bytes(bytes);
    else out.u32(this.#attaching.bytes(bytes));
    return true;
  }

  /** Memory that was transferred away, or has shrunk, gives none. */
  #bytesOf(value: Binary): Uint8Array {
    try {
      return bytesOf(value);
    } catch (error) {
      throw this.#refusal(`binary data that cannot be read: ${textOf(error)}`, error);
    }
  }

  /** Instances of the types that enter as extensions and of registered value classes. */
  #typed(value: object, prototype: unknown): boolean {
    const out = this.writer;
    for (const extension of this.#extensions) {
      if (!extension.is(value)) continue;
      out.u8(TAG.extension);
      out.u8(extension.tag);
      this.#at(
        '',
        this.#ask(() => extension.encode(value)),
      );
      return true;
    }
    const known = valueClassOf(prototype);
    if (known === undefined) return false;
    out.u8(TAG.instance);
    out.string(known.name);
    this.#instance(value, known);
    return true;
  }

  #instance(value: object, { codec }: ValueClass): void {
    if (codec === undefined) this.#record(value, TAG.record);
    else {
      this.#at(
        '',
        this.#ask(() => codec.encode(value)),
      );
    }
  }

  #collection(value: object): void {
    const isOwn = isBuiltIn(value);
    if (types.isDate(value) && isOwn) {
      this.writer.u8(TAG.date);
      this.writer.f64(Date.prototype.getTime.call(value));
    } else if (types.isMap(value) && isOwn) this.#map(value);
    else if (types.isSet(value) && isOwn) this.#set(value);
    else if (isRecord(value)) {
      this.#record(value, Object.getPrototypeOf(value) === null ? TAG.bare : TAG.record);
    } else throw this.#refusal(describe(value));
  }

  #enter(value: object): void {
    const at = this.#ancestors.indexOf(value);
    if (at >= 0) {
      const path = this.#pathText(at + 1);
      throw unsupported(
        `${this.#pathText()} refers to ${path}: a value that contains itself cannot be sent`,
      );
    }
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
    this.#checkSymbols(value);
    // Other fields of arrays are too dear to look for.
    if (Object.hasOwn(value, 'index') && Object.hasOwn(value, 'groups')) {
      throw this.#refusal(
        'the match of a regular expression, whose groups would not arrive: send [...match] or { ...match.groups }',
      );
    }
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

  #record(value: object, tag: number): void {
    const keys = Object.keys(value);
    this.#checkSymbols(value);
    this.writer.u8(tag);
    this.writer.u32(keys.length);
    for (const key of keys) {
      if (key === '__proto__') throw this.#refusal('a field named __proto__');
      const field = Object.getOwnPropertyDescriptor(value, key);
      this.#path.push(key);
      if (field === undefined || !('value' in field)) {
        throw this.#refusal('an accessor; accessors are never run: send what it gives as a field');
      }
      this.writer.string(key);
      this.#value(field.value);
      this.#path.pop();
    }
  }

  #checkSymbols(value: object): void {
    for (const key of Object.getOwnPropertySymbols(value)) {
      if (!Object.prototype.propertyIsEnumerable.call(value, key)) continue;
      this.#path.push(String(key));
      throw this.#refusal('a field with a symbol as its key, which would not arrive');
    }
  }

  /** What somebody else's code makes of a value; what it throws is told with the path. */
  #ask(encode: () => unknown): unknown {
    try {
      return encode();
    } catch (error) {
      if (isGradwireError(error)) throw error;
      throw this.#refusal(`a value whose encoding failed: ${textOf(error)}`, error);
    }
  }

  #refusal(what: string, cause?: unknown): GradwireError {
    return unsupported(`${this.#pathText()} is ${what}`, cause);
  }

  #pathText(length: number = this.#path.length): string {
    const [root, ...rest] = this.#path.slice(0, length);
    const steps = rest.filter((key) => key !== '');
    return steps.reduce<string>(
      (text, key) => text + (typeof key === 'number' ? `[${key}]` : `.${key}`),
      String(root),
    );
  }
}

function unsupported(message: string, cause?: unknown): GradwireError {
  return new GradwireError('unsupported_value', message, { maybeExecuted: false, cause });
}
