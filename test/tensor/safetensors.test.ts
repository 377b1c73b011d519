/** Heads of files: what is written is read, and what is wrong with one is said, field by field, before anything is allocated. */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  decodeHead,
  decodePrefix,
  encodeHead,
  layOut,
  PREFIX_BYTES,
  type TensorPlan,
} from '../../tensor/safetensors.ts';
import { runs } from '../support/runs.ts';

const text = (value: unknown): Uint8Array =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));

const plan = fc.record<TensorPlan>({
  name: fc
    .string({ minLength: 1, maxLength: 20, unit: 'grapheme' })
    .filter((name) => !/\p{Cc}|\p{Cs}/u.test(name) && name !== '__metadata__'),
  dtype: fc.constantFrom('float32', 'int32', 'bool'),
  shape: fc.array(fc.nat(9), { maxLength: 6 }),
});
const plans = fc.uniqueArray(plan, { selector: ({ name }) => name, maxLength: 8 });
const metadata = fc.dictionary(fc.string(), fc.string());

test('what is encoded is decoded, aligned and without holes', () => {
  fc.assert(
    fc.property(plans, metadata, (given, texts) => {
      const entries = layOut(given);
      const head = encodeHead({ entries, metadata: texts });
      const size = entries.at(-1)?.end ?? 0;
      expect(head.byteLength % 8).toBe(0);
      const length = decodePrefix(head.subarray(0, PREFIX_BYTES), head.byteLength + size);
      expect(length).toBe(head.byteLength - PREFIX_BYTES);
      const decoded = decodeHead(head.subarray(PREFIX_BYTES), size);
      const byName = <T extends { name: string }>(all: readonly T[]): T[] =>
        [...all].sort((a, b) => (a.name < b.name ? -1 : 1));
      expect(byName(decoded.entries)).toEqual(byName(entries));
      expect(decoded.metadata).toEqual({ ...texts });
      for (const { dtype, begin } of entries) if (dtype !== 'bool') expect(begin % 4).toBe(0);
    }),
    runs(100),
  );
});

test('a head with any byte changed, or cut off, is refused or still fits the file', () => {
  const entries = layOut([
    { name: 'a', dtype: 'float32', shape: [2, 3] },
    { name: 'b', dtype: 'bool', shape: [5] },
  ]);
  const head = encodeHead({ entries, metadata: { note: 'x' } }).subarray(PREFIX_BYTES);
  fc.assert(
    fc.property(fc.nat(head.byteLength - 1), fc.nat(255), fc.boolean(), (at, byte, isCut) => {
      const changed = isCut ? head.slice(0, at) : head.slice();
      if (!isCut) changed[at] = byte;
      try {
        const { entries: read } = decodeHead(changed, 29);
        expect(read.at(-1)?.end).toBe(29);
      } catch (error) {
        expect(['file_error', 'unsupported_value']).toContain((error as { code?: string }).code);
      }
    }),
    runs(500),
  );
});

const good = { dtype: 'F32', shape: [2], data_offsets: [0, 8] };
const bool = { dtype: 'BOOL', shape: [4], data_offsets: [8, 12] };

/** What is wrong, the text, the bytes that follow it, and what the message says. */
const HOSTILE: readonly (readonly [string, unknown, number, RegExp])[] = [
  ['an empty text', '', 0, /no JSON/],
  ['no JSON', '{"a":', 0, /no JSON/],
  ['no UTF-8', Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x30, 0x7d), 0, /no JSON/],
  ['a byte order mark', '\uFEFF{}', 0, /no JSON/],
  ['a list', [], 0, /no JSON record/],
  ['null', 'null', 0, /no JSON record/],
  ['a number', '7', 0, /no JSON record/],
  ['spaces first', ' {}', 0, /no JSON record/],
  ['two records', '{}{}', 0, /no JSON/],
  ['a name twice', '{"a":{},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', 8, /twice/],
  [
    'a name twice, once escaped',
    '{"a":{},"\\u0061":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
    8,
    /twice/,
  ],
  [
    'a field twice',
    '{"a":{"dtype":"I32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
    8,
    /twice/,
  ],
  ['metadata twice', '{"__metadata__":{},"__metadata__":{}}', 0, /twice/],
  ['metadata with a name twice', '{"__metadata__":{"a":"\\"","a" : ":"}}', 0, /twice/],
  ['metadata of numbers', { __metadata__: { a: 1 } }, 0, /__metadata__ is no record of texts/],
  ['metadata as a list', { __metadata__: ['a'] }, 0, /__metadata__/],
  ['metadata as a text', { __metadata__: 'a' }, 0, /__metadata__/],
  ['an empty name', { '': good }, 8, /no name/],
  ['a name with a line break', { 'a\nb': good }, 8, /control characters/],
  ['a name with a NUL', { 'a\0': good }, 8, /control characters/],
  ['a name with half a character', '{"\\ud800":{}}', 8, /half of one/],
  ['an endless name', { ['x'.repeat(5000)]: good }, 8, /over 4096/],
  ['a tensor that is null', { a: null }, 0, /tensor "a" is described by no record/],
  ['a tensor that is a list', { a: [good] }, 0, /no record/],
  ['an unknown field', { a: { ...good, strides: [1] } }, 8, /unknown field "strides"/],
  [
    'a field __proto__',
    '{"a":{"__proto__":{},"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
    8,
    /unknown field/,
  ],
  ['no dtype', { a: { shape: [2], data_offsets: [0, 8] } }, 8, /dtype of tensor "a" is missing/],
  [
    'a dtype that is endless',
    `{"a":{"dtype":${'['.repeat(1e5)}${']'.repeat(1e5)}}}`,
    8,
    /is a object/,
  ],
  [
    'a shape that is endless',
    `{"a":{"dtype":"F32","shape":${'['.repeat(1e5)}${']'.repeat(1e5)}}}`,
    8,
    /shape/,
  ],
  ['an unknown dtype', { a: { ...good, dtype: 'F31' } }, 8, /dtype of tensor "a" is "F31"/],
  ['a dtype of another case', { a: { ...good, dtype: 'f32' } }, 8, /dtype/],
  ['a dtype from the prototype', { a: { ...good, dtype: 'constructor' } }, 8, /dtype/],
  ['no shape', { a: { dtype: 'F32', data_offsets: [0, 8] } }, 8, /shape of tensor "a"/],
  ['a shape of texts', { a: { ...good, shape: ['2'] } }, 8, /shape/],
  ['a negative size', { a: { ...good, shape: [-2] } }, 8, /shape/],
  ['a broken size', { a: { ...good, shape: [2.5] } }, 8, /shape/],
  [
    'a size beyond integers',
    '{"a":{"dtype":"F32","shape":[1e300],"data_offsets":[0,8]}}',
    8,
    /shape/,
  ],
  [
    'sizes whose product overflows',
    { a: { ...good, shape: [2 ** 32, 2 ** 32, 2 ** 32] } },
    8,
    /takes/,
  ],
  [
    'sizes whose product is endless',
    { a: { ...good, shape: new Array(6).fill(2 ** 53 - 1) } },
    8,
    /takes/,
  ],
  ['a rank over 6', { a: { ...good, shape: [1, 1, 1, 1, 1, 1, 2] } }, 8, /at most 6/],
  ['no offsets', { a: { dtype: 'F32', shape: [2] } }, 8, /data_offsets of tensor "a"/],
  ['three offsets', { a: { ...good, data_offsets: [0, 8, 16] } }, 8, /data_offsets/],
  ['negative offsets', { a: { ...good, data_offsets: [-8, 0] } }, 8, /data_offsets/],
  ['offsets the wrong way round', { a: { ...good, data_offsets: [8, 0] } }, 8, /hold -8 bytes/],
  [
    'offsets that do not fit the shape',
    { a: { ...good, shape: [3] } },
    8,
    /hold 8 bytes.*takes 12/,
  ],
  ['a hole at the beginning', { a: { ...good, data_offsets: [8, 16] } }, 16, /hole before/],
  ['a hole between', { a: good, b: { ...bool, data_offsets: [9, 13] } }, 13, /hole/],
  ['an overlap', { a: good, b: { ...bool, data_offsets: [4, 8] } }, 8, /overlap/],
  ['one tensor twice', { a: good, b: good }, 8, /overlap/],
  ['bytes after the end', { a: good, b: bool }, 13, /take 12 bytes, but 13 follow/],
  ['fewer bytes than announced', { a: good, b: bool }, 11, /take 12 bytes, but 11 follow/],
  ['bytes of no tensor', {}, 1, /take 0 bytes, but 1 follow/],
];

test.each(HOSTILE)('refused: %s', (_, head, dataBytes, message) => {
  const bytes = head instanceof Uint8Array ? head : text(head);
  const read = (): unknown => decodeHead(bytes, dataBytes);
  expect(read).toThrow(expect.objectContaining({ code: 'file_error' }));
  expect(read).toThrow(message);
});

test.each(['F64', 'F16', 'BF16', 'I64', 'I8', 'U8', 'F8_E4M3'])(
  '%s is of the format, but not ours',
  (dtype) => {
    const read = (): unknown => decodeHead(text({ a: { ...good, dtype } }), 8);
    expect(read).toThrow(expect.objectContaining({ code: 'unsupported_value' }));
    expect(read).toThrow(new RegExp(`tensor "a" is ${dtype}.*float32, int32, bool`));
  },
);

test('the length in the prefix is checked before anything is allocated for it', () => {
  const prefix = (length: bigint): Uint8Array => {
    const bytes = new Uint8Array(PREFIX_BYTES);
    new DataView(bytes.buffer).setBigUint64(0, length, true);
    return bytes;
  };
  const refused = (bytes: Uint8Array, fileBytes: number, message: RegExp): void => {
    const read = (): unknown => decodePrefix(bytes, fileBytes);
    expect(read).toThrow(expect.objectContaining({ code: 'file_error' }));
    expect(read).toThrow(message);
  };
  refused(new Uint8Array(0), 0, /too few/);
  refused(new Uint8Array(7), 7, /too few/);
  refused(prefix(3n), 10, /3 bytes of a file of 10/);
  refused(prefix(100_000_001n), 2e9, /over the limit of 100 MB/);
  refused(prefix(2n ** 64n - 1n), 100, /over the limit/);
  expect(decodePrefix(prefix(100_000_000n), 2e9)).toBe(100_000_000);
  expect(decodePrefix(prefix(2n), 10)).toBe(2);
});

test('names, dtypes and metadata that cannot be written', () => {
  const shape = [1];
  const invalid = expect.objectContaining({ code: 'invalid_argument' });
  for (const name of ['', '__metadata__', 'a\tb', '\ud800', 'x'.repeat(4097)]) {
    expect(() => layOut([{ name, dtype: 'float32', shape }])).toThrow(invalid);
  }
  for (const dtype of ['complex64', 'string'] as const) {
    expect(() => layOut([{ name: 'a', dtype, shape }])).toThrow(/can be saved/);
  }
  const numbers = { a: 1 } as unknown as Record<string, string>;
  expect(() => encodeHead({ entries: [], metadata: numbers })).toThrow(invalid);
});
