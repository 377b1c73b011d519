/**
 * String tensors as bytes: for each element its length (u32, little endian) and its bytes, UTF-8 where it is text. It
 * knows nothing of tensors.
 */
import { GradwireError } from '../errors.ts';

/** All elements in one new array of bytes. */
export function encodeStrings(elements: readonly Uint8Array[]): Uint8Array {
  let length = 4 * elements.length;
  for (const element of elements) length += element.byteLength;
  const out = new Uint8Array(length);
  const view = new DataView(out.buffer);
  let at = 0;
  for (const element of elements) {
    view.setUint32(at, element.byteLength, true);
    out.set(element, at + 4);
    at += 4 + element.byteLength;
  }
  return out;
}

/**
 * The `count` elements of a table, as copies.
 *
 * @throws GradwireError `protocol_error` if the table is shorter or longer than its lengths say
 */
export function decodeStrings(table: Uint8Array, count: number): Uint8Array[] {
  // One copy for all elements, of exactly the table: they share it, and nothing else does.
  const bytes = new Uint8Array(table.byteLength);
  bytes.set(table);
  const view = new DataView(bytes.buffer);
  const elements: Uint8Array[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    const end = at + 4 <= bytes.length ? at + 4 + view.getUint32(at, true) : Infinity;
    if (end > bytes.length) throw corrupt(`string ${i} of ${count} runs past the end`);
    elements.push(bytes.subarray(at + 4, end));
    at = end;
  }
  if (at !== bytes.length) throw corrupt(`${bytes.length - at} bytes are left over`);
  return elements;
}

function corrupt(what: string): GradwireError {
  return new GradwireError('protocol_error', `corrupt string table: ${what}`);
}
