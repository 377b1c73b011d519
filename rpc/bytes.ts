/** A growing buffer to write to and a bounds-checked one to read from, little endian. Pure. */
import { constants } from 'node:buffer';
import { GradwireError } from '../errors.ts';

/** Set in the length of a string that UTF-8 cannot hold: its UTF-16 code units follow. */
const UTF16_FLAG = 0x8000_0000;
const LONE_SURROGATE = /\p{Surrogate}/u;

export class ByteWriter {
  #buffer = Buffer.allocUnsafe(256);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** What was written so far: a view, valid until the next write. */
  view(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  u8(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
  }

  u32(value: number): void {
    this.#reserve(4);
    this.#length = this.#buffer.writeUInt32LE(value, this.#length);
  }

  i32(value: number): void {
    this.#reserve(4);
    this.#length = this.#buffer.writeInt32LE(value, this.#length);
  }

  f64(value: number): void {
    this.#reserve(8);
    this.#length = this.#buffer.writeDoubleLE(value, this.#length);
  }

  string(value: string): void {
    this.#reserve(4 + 3 * value.length);
    let written = this.#buffer.write(value, this.#length + 4, 'utf8');
    let flag = 0;
    if (written !== value.length && LONE_SURROGATE.test(value)) {
      written = this.#buffer.write(value, this.#length + 4, 'utf16le');
      flag = UTF16_FLAG;
    }
    this.#buffer.writeUInt32LE(written + flag, this.#length);
    this.#length += 4 + written;
  }

  bytes(value: Uint8Array): void {
    this.u32(value.byteLength);
    this.#reserve(value.byteLength);
    this.#buffer.set(value, this.#length);
    this.#length += value.byteLength;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.#buffer.length));
    larger.set(this.view());
    this.#buffer = larger;
  }
}

/** Reads past the end are a `protocol_error`. */
export class ByteReader {
  readonly #buffer: Buffer;
  #position = 0;

  constructor(bytes: Uint8Array) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u8(): number {
    return this.#buffer.readUInt8(this.#take(1));
  }

  u32(): number {
    return this.#buffer.readUInt32LE(this.#take(4));
  }

  i32(): number {
    return this.#buffer.readInt32LE(this.#take(4));
  }

  f64(): number {
    return this.#buffer.readDoubleLE(this.#take(8));
  }

  string(): string {
    const field = this.u32();
    const isUtf16 = field >= UTF16_FLAG;
    const length = isUtf16 ? field - UTF16_FLAG : field;
    if (length > constants.MAX_STRING_LENGTH) throw this.malformed('a string that is too long');
    const start = this.#take(length);
    return this.#buffer.toString(isUtf16 ? 'utf16le' : 'utf8', start, start + length);
  }

  /** A view of what is read. */
  bytes(): Uint8Array {
    const length = this.u32();
    const start = this.#take(length);
    return this.#buffer.subarray(start, start + length);
  }

  /** A number of elements of at least `elementBytes` each, which must still be there. */
  count(elementBytes: number): number {
    const count = this.u32();
    if (count * elementBytes > this.#buffer.length - this.#position) {
      throw this.malformed(`${count} elements announced where there is no room for them`);
    }
    return count;
  }

  malformed(what: string): GradwireError {
    return new GradwireError('protocol_error', `a message holds ${what}`, { stage: 'decode' });
  }

  #take(bytes: number): number {
    const start = this.#position;
    if (bytes > this.#buffer.length - start) throw this.malformed('less than it announces');
    this.#position = start + bytes;
    return start;
  }
}
