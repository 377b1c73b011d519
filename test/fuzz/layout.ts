/**
 * Where what stands in the values of a message: every value with its extent, and every field (tags, counts, lengths,
 * numbers) with its place and size. Reads only what the product's own encoder wrote.
 */
import { TAG } from '../../rpc/value-codec.ts';

export interface Field {
  readonly at: number;
  readonly bytes: 1 | 4 | 8;
}

export interface Span {
  readonly start: number;
  readonly end: number;
  /** The text, of a string. */
  readonly text?: string;
}

export interface Layout {
  /** Values in order of their end, inner ones before those that hold them. */
  readonly spans: readonly Span[];
  readonly fields: readonly Field[];
}

/** Bytes after the tag of the values of fixed size. */
const FIXED: ReadonlyMap<number, readonly Field['bytes'][]> = new Map([
  [TAG.int32, [4]],
  [TAG.float64, [8]],
  [TAG.date, [8]],
  [TAG.tensor, [4]],
  [TAG.attached, [1, 4]],
]);

class Scanner {
  readonly spans: Span[] = [];
  readonly fields: Field[] = [];
  readonly #buffer: Buffer;
  #at = 0;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#buffer.length;
  }

  value(): void {
    const start = this.#at;
    const tag = this.#field(1);
    let text: string | undefined;
    if (tag === TAG.string || tag === TAG.bigint) text = this.#text();
    else if (tag === TAG.bytes) this.#binary();
    else if (tag === TAG.array || tag === TAG.set) this.#values(this.#field(4));
    else if (tag === TAG.map) this.#values(2 * this.#field(4));
    else if (tag === TAG.record || tag === TAG.bare) this.#record(this.#field(4));
    else if (tag === TAG.extension || tag === TAG.instance) this.#named(tag);
    else for (const bytes of FIXED.get(tag) ?? []) this.#field(bytes);
    this.spans.push({ start, end: this.#at, ...(text !== undefined && { text }) });
  }

  #binary(): void {
    this.#field(1);
    this.#skip(this.#field(4));
  }

  #named(tag: number): void {
    if (tag === TAG.instance) this.#text();
    else this.#field(1);
    this.value();
  }

  #record(count: number): void {
    for (let i = 0; i < count; i++) {
      this.#text();
      this.value();
    }
  }

  #values(count: number): void {
    for (let i = 0; i < count; i++) this.value();
  }

  #text(): string {
    const length = this.#field(4) & 0x7fff_ffff;
    const start = this.#at;
    this.#skip(length);
    return this.#buffer.toString('utf8', start, start + length);
  }

  #field(bytes: Field['bytes']): number {
    const at = this.#at;
    this.fields.push({ at, bytes });
    this.#at += bytes;
    if (bytes === 1) return this.#buffer.readUInt8(at);
    return bytes === 4 ? this.#buffer.readUInt32LE(at) : 0;
  }

  #skip(bytes: number): void {
    this.#at += bytes;
  }
}

/** @param buffer some values, one after another */
export function layoutOf(buffer: Buffer): Layout {
  const scanner = new Scanner(buffer);
  while (!scanner.isAtEnd) scanner.value();
  return scanner;
}
