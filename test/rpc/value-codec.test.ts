import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isGradwireError } from '../../errors.ts';
import type { Extension } from '../../rpc/value-codec.ts';
import { ValueDecoder } from '../../rpc/value-decoder.ts';
import { ValueEncoder } from '../../rpc/value-encoder.ts';
import { runs } from '../support/runs.ts';

/** Stands for a tensor. */
class Leaf {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}
class Point {
  x = 0;
}
const pointExtension: Extension<Point> = {
  tag: 9,
  is: (value) => value instanceof Point,
  encode: ({ x }) => ({ x }),
  decode: (plain) => Object.assign(new Point(), plain),
};

interface Encoded {
  readonly bytes: Uint8Array;
  readonly leaves: readonly Leaf[];
  readonly attached: readonly Uint8Array[];
}

function encode(value: unknown): Encoded {
  const leaves: Leaf[] = [];
  const attached: Uint8Array[] = [];
  const encoder = new ValueEncoder([pointExtension], {
    tensor: (candidate) => {
      if (!(candidate instanceof Leaf)) return undefined;
      if (!leaves.includes(candidate)) leaves.push(candidate);
      return leaves.indexOf(candidate);
    },
    bytes: (bytes) => attached.push(bytes.slice()) - 1,
  });
  encoder.encode(value, 'it');
  return { bytes: encoder.writer.view(), leaves, attached };
}

function decode(
  bytes: Uint8Array,
  { leaves, attached }: Pick<Encoded, 'leaves' | 'attached'> = { leaves: [], attached: [] },
): unknown {
  const extensions = new Map([[9, pointExtension]]);
  return new ValueDecoder(bytes, extensions, {
    tensor: (index) => leaves[index],
    bytes: (index) => attached[index],
  }).decode();
}

function roundTrip(value: unknown): unknown {
  const encoded = encode(value);
  return decode(encoded.bytes, encoded);
}

const shared = new Leaf('shared');
const key = fc.string({ unit: 'binary' }).filter((k) => k !== '__proto__');
const { value: anyValue } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom(null, undefined, true, false, -0, Number.NaN, 2 ** 31, -(2 ** 31), shared),
    fc.double(),
    fc.integer(),
    fc.bigInt(),
    fc.string({ unit: 'binary' }),
    fc.uint8Array(),
    fc.date({ noInvalidDate: true }),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.array(fc.tuple(tie('value'), tie('value')), { maxLength: 4 }).map((e) => new Map(e)),
    fc.array(tie('value'), { maxLength: 4 }).map((e) => new Set(e)),
    fc.dictionary(key, tie('value'), { maxKeys: 4, noNullPrototype: true }),
  ),
}));

test('an invalid date stays one', () => {
  expect((roundTrip(new Date(Number.NaN)) as Date).getTime()).toBeNaN();
});

test('every value of the closed set comes back', () => {
  fc.assert(
    fc.property(anyValue, (value) => {
      const back = roundTrip([value]) as unknown[];
      expect(back).toEqual([value]);
      expect(Object.is(back[0], value)).toBe(
        typeof value !== 'object' || value === null || value === shared,
      );
    }),
    runs(300),
  );
});

test('kinds of values that are easily lost', () => {
  const mixed = { '': -0, constructor: 1, hasOwnProperty: 2, toString: [undefined, null] };
  expect(roundTrip(mixed)).toStrictEqual(mixed);
  expect(Object.is((roundTrip(mixed) as { '': number })[''], -0)).toBe(true);
  expect(roundTrip(Object.assign(Object.create(null), { a: 1 }))).toEqual({ a: 1 });
  expect(roundTrip(Buffer.from('ab'))).toEqual(new Uint8Array([97, 98]));
  // biome-ignore lint/suspicious/noSparseArray: the point of the test
  expect(roundTrip([1, , 3])).toEqual([1, undefined, 3]);
  expect(roundTrip(Object.assign(new Point(), { x: 3 }))).toEqual({ x: 3 });
  expect(roundTrip(Object.assign(new Point(), { x: 3 }))).toBeInstanceOf(Point);
});

test('a tensor in several places is one, other objects are copied for each', () => {
  const twice = { a: 1 };
  const [first, second, third, fourth] = roundTrip([shared, shared, twice, twice]) as unknown[];
  expect(first).toBe(shared);
  expect(second).toBe(shared);
  expect(third).toEqual(fourth);
  expect(third).not.toBe(fourth);
});

test('a getter is read as what it gives', () => {
  expect(
    roundTrip({
      get now() {
        return 5;
      },
    }),
  ).toEqual({ now: 5 });
});

const cycle: { deep: unknown[] } = { deep: [] };
cycle.deep.push(new Map([['again', cycle]]));
const deep = Array.from({ length: 101 }).reduce<unknown>((inner) => [inner], 0);

test.each<[string, unknown, RegExp]>([
  [
    'a function',
    { a: [function named() {}] },
    /^unsupported_value: it\.a\[0\] is the function named;/,
  ],
  ['a class', [Point], /^unsupported_value: it\[0\] is the function Point/],
  ['a symbol', new Set([1, Symbol('s')]), /^unsupported_value: it\[1\] is a symbol/],
  ['a promise', { p: Promise.resolve() }, /^unsupported_value: it\.p is a promise; await it/],
  [
    'an instance',
    new Map([
      ['k', new Date(0)],
      ['l', new Intl.Collator() as never],
    ]),
    /it\.entry 1 is an object of class Collator/,
  ],
  ['a key', new Map([[{ f: () => {} }, 1]]), /it\.key 0\.f is the function/],
  ['an error', [new RangeError('x')], /it\[0\] is an object of class RangeError/],
  ['a typed array', new Float32Array(2), /it is an object of class Float32Array/],
  ['a boxed number', [Object(1)], /it\[0\] is an object of class Number/],
  ['a weak map', new WeakMap(), /it is an object of class WeakMap/],
  ['a cycle', cycle, /it\.deep\[0\]\.entry 0 is a value that contains itself/],
  ['too deep', deep, /is a value nested more than 100 deep/],
  ['a prototype', JSON.parse('{"__proto__": 1}'), /it is a field named __proto__/],
])('refuses %s, with its path', (_, value, message) => {
  expect(() => encode(value)).toThrow(message);
});

test('random, cut and flipped bytes are a protocol_error or another value', () => {
  const check = (bytes: Uint8Array): void => {
    try {
      decode(bytes, { leaves: [shared], attached: [] });
    } catch (error) {
      if (!isGradwireError(error, 'protocol_error')) throw error;
    }
  };
  fc.assert(
    fc.property(anyValue, fc.uint8Array(), fc.nat(), fc.nat(), (value, noise, at, bit) => {
      check(noise);
      const { bytes } = encode([value]);
      check(bytes.subarray(0, at % bytes.length));
      const i = at % bytes.length;
      bytes[i] = (bytes[i] ?? 0) ^ (1 << (bit % 8));
      check(bytes);
    }),
    runs(1000),
  );
});

test('nesting and prototypes are bounded at the receiver too', () => {
  const nested = Buffer.concat([
    ...Array(300).fill(Buffer.from([10, 1, 0, 0, 0])),
    Buffer.from([1]),
  ]);
  expect(() => decode(nested)).toThrow(/^protocol_error: .*nested too deep/);
  const name = Buffer.from('__proto__');
  const record = Buffer.concat([Buffer.from([13, 1, 0, 0, 0, 9, 0, 0, 0]), name, Buffer.from([1])]);
  expect(() => decode(record)).toThrow(/^protocol_error: .*__proto__/);
  expect(() => decode(Buffer.from([6, 2, 0, 0, 0, 0x7a, 0x7a]))).toThrow(
    /bigint that is no number/,
  );
  expect(() => decode(Buffer.from([15, 77, 1]))).toThrow(/unknown extension 77/);
  expect(() => decode(Buffer.from([99]))).toThrow(/unknown type 99/);
});
