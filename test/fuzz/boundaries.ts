/** What stands in for fields and values: limits and their neighbours, other types, names that must not work, and bytes that no encoder writes. */
import { MAX_DEPTH, TAG } from '../../rpc/value-codec.ts';
import { ValueEncoder } from '../../rpc/value-encoder.ts';
import type { Dice } from './dice.ts';

const NUMBERS = [
  0,
  1,
  2,
  3,
  5,
  7,
  8,
  9,
  31,
  32,
  33,
  63,
  64,
  100,
  127,
  128,
  255,
  256,
  257,
  4095,
  4096,
  4097,
  65_535,
  65_536,
  2 ** 20,
  2 ** 21,
  2 ** 22,
  2 ** 22 + 1,
  2 ** 24 - 1,
  2 ** 24,
  2 ** 26,
  2 ** 30,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 2,
  2 ** 32 - 1,
];
const LARGE = [2 ** 32, 2 ** 40, 2 ** 48 - 2, 2 ** 48 - 1];
const SPECIAL = [
  -1,
  -2,
  0.5,
  -0,
  1e-300,
  1e300,
  2 ** 53 - 1,
  2 ** 53,
  2 ** 53 + 2,
  -(2 ** 31),
  2 ** 63,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
];
const TEXTS = [
  '',
  '.',
  '0.0',
  '0.1',
  '1.1',
  '2.1',
  '2.',
  '.2',
  '2.1.1',
  '9999999999.1',
  '2.9999999999999999',
  '2.99999999999999999',
  '-2.1',
  '2.-1',
  '2.1e5',
  ' 2.1',
  '2.1\n',
  'NaN.1',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'then',
  'prototype',
  'valueOf',
  '#value',
  '_x',
  'add',
  'echo',
  'count',
  'Source',
  'value',
  'values',
  'worker0',
  'worker1',
  'worker2',
  'float32',
  'int32',
  'string',
  'complex64',
  'visible',
  'dropped',
  'broken',
  'timeoutMs',
  'stream',
  'autograd',
  'protocol_error',
  'remote_error',
  'GradwireError',
  'AggregateError',
  'OutOfStock',
  'x'.repeat(10_000),
  '\u0000',
  '\ud800',
  '\u001b[2J',
];

function nestedBytes(depth: number): Buffer {
  const one = Buffer.from([TAG.array, 1, 0, 0, 0]);
  return Buffer.concat([...Array.from({ length: depth }, () => one), Buffer.from([TAG.null])]);
}

/** Bytes of a tag and what follows it. */
function raw(tag: number, ...fields: (number | string)[]): Buffer {
  const parts = fields.map((field) => {
    if (typeof field === 'string') return Buffer.from(field, 'latin1');
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(field);
    return bytes;
  });
  return Buffer.concat([Buffer.from([tag]), ...parts]);
}

/** Values that no encoder writes. */
const MALFORMED: readonly Buffer[] = [
  ...[MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1, 2 * MAX_DEPTH, 2 * MAX_DEPTH + 1, 20_000].map(
    nestedBytes,
  ),
  ...Array.from({ length: 256 - TAG.instance }, (_, i) => raw(i + TAG.instance + 1)),
  raw(TAG.record, 1, 9, '__proto__', '\x01'),
  raw(TAG.bare, 1, 9, '__proto__', '\x01'),
  raw(TAG.record, 2, 1, 'a', '\x01', 1, 'a', '\x01'),
  raw(TAG.map, 2, '\x01\x01\x01\x01'),
  raw(TAG.set, 3, '\x01\x01\x01'),
  raw(TAG.bigint, 3, '0x1'),
  raw(TAG.bigint, 0),
  raw(TAG.bigint, 1, '-'),
  raw(TAG.string, 0x8000_0003, 'abc'),
  raw(TAG.string, 0xffff_ffff, 'abc'),
  raw(TAG.string, 3, '\xff\xfe\xfd'),
  raw(TAG.tensor, 0xffff_ffff),
  raw(TAG.bytes, '\x09', 3, 'abc'),
  raw(TAG.bytes, '\xff', 0),
  raw(TAG.instance, 6, 'Object', '\x01'),
  raw(TAG.instance, 5, 'Point', '\x0d', 1, 3, 'sum', '\x01'),
  raw(TAG.instance, 5, 'Money', '\x01'),
  ...Array.from({ length: 8 }, (_, tag) => raw(TAG.extension, `${String.fromCharCode(tag)}\x01`)),
  ...Array.from({ length: 8 }, (_, tag) =>
    raw(TAG.extension, `${String.fromCharCode(tag)}\x0a`, 0),
  ),
  ...Array.from({ length: 8 }, (_, tag) =>
    raw(TAG.extension, `${String.fromCharCode(tag)}\x0d`, 0),
  ),
  raw(TAG.extension, '\x02\x0f\x02\x0f\x02\x01'),
];

const VALUES: readonly unknown[] = [
  null,
  undefined,
  true,
  false,
  ...NUMBERS,
  ...LARGE,
  ...SPECIAL,
  ...TEXTS,
  0n,
  -(2n ** 200n),
  [],
  [[]],
  [null],
  {},
  { length: 1e9 },
  ['then', 1],
  { toString: 1 },
  Object.create(null),
  new Map(),
  new Set([1]),
  new Map([['size', 1e9]]),
  new Date(Number.NaN),
  new Uint8Array(0),
  new Float64Array(1),
  ['2.1', '2.2'],
  ['0.1', '0.1', 0],
  { code: 'x', message: null },
  { timeoutMs: 1 },
  { timeoutMs: 1, stream: 1 },
  { id: '2.1', initiator: 0, retainGraph: 1, timeoutMs: -1 },
  Array.from({ length: 3_000 }, (_, i) => i),
];

/** The bytes of a value as the product's own encoder writes them. */
function encoded(value: unknown): Buffer {
  const encoder = new ValueEncoder([], { tensor: () => undefined, bytes: () => 0 });
  encoder.encode(value, 'value');
  return Buffer.from(encoder.writer.view());
}

const ENCODED = VALUES.map(encoded);
const STRINGS = TEXTS.map(encoded);

/** Bytes to stand where a value stood. */
export function hostileValue(dice: Dice): Buffer {
  return dice.pick(dice.chance(0.3) ? MALFORMED : ENCODED);
}

export function hostileText(dice: Dice): Buffer {
  return dice.pick(STRINGS);
}

/** A number for an unsigned field of `bits`. */
export function hostileNumber(dice: Dice, bits: number): number {
  const limit = 2 ** bits;
  const number = dice.chance(0.2)
    ? dice.below(limit)
    : dice.pick([...NUMBERS, ...LARGE, limit - 1]);
  return number % limit;
}

export function hostileFloat(dice: Dice): number {
  return dice.pick([...NUMBERS, ...LARGE, ...SPECIAL]);
}
