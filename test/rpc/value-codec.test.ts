import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isGradwireError } from '../../errors.ts';
import { errorExtension } from '../../rpc/error-values.ts';
import { byTag } from '../../rpc/extensions.ts';
import { ValueDecoder } from '../../rpc/value-decoder.ts';
import { ValueEncoder } from '../../rpc/value-encoder.ts';
import { runs } from '../support/runs.ts';
import { anyBinary, anyValue, Money, Point } from '../support/values.ts';

/** Stands for a tensor. */
class Leaf {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

interface Encoded {
  readonly bytes: Uint8Array;
  readonly leaves: readonly Leaf[];
  readonly attached: readonly Uint8Array[];
}

function encode(value: unknown): Encoded {
  const leaves: Leaf[] = [];
  const attached: Uint8Array[] = [];
  const encoder = new ValueEncoder([errorExtension], {
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
  return new ValueDecoder(bytes, byTag([errorExtension]), {
    tensor: (index) => leaves[index],
    bytes: (index) => attached[index],
  }).decode();
}

function roundTrip<T>(value: T): T {
  const encoded = encode(value);
  return decode(encoded.bytes, encoded) as T;
}

const shared = new Leaf('shared');
const value = anyValue(shared);

test('every value of the closed set comes back', () => {
  fc.assert(
    fc.property(value, (sent) => {
      const [back] = roundTrip([sent]);
      // Strictly: classes, holes, undefined fields and the sign of zero count.
      expect(back).toStrictEqual(sent);
      const isSame = typeof sent !== 'object' || sent === null || sent === shared;
      expect(Object.is(back, sent)).toBe(isSame);
      if (sent instanceof Money) expect(sent.equals(back as Money)).toBe(true);
    }),
    runs(300),
  );
});

test('binary data arrives with its class, in aligned memory of its own', () => {
  fc.assert(
    fc.property(anyBinary, (sent) => {
      const back = roundTrip(sent);
      expect(Object.getPrototypeOf(back)).toBe(Object.getPrototypeOf(sent));
      expect(back).toStrictEqual(sent);
      if (!ArrayBuffer.isView(back) || !ArrayBuffer.isView(sent)) return;
      expect([back.byteOffset, back.buffer.byteLength]).toEqual([0, sent.byteLength]);
    }),
    runs(100),
  );
});

test('of a window into memory the window travels, of shared memory a copy, of a Buffer its bytes', () => {
  const memory = Float64Array.of(1, 2, 3, 4);
  const window = roundTrip(memory.subarray(1, 3));
  expect([...window]).toEqual([2, 3]);
  expect(window.buffer.byteLength).toBe(16);
  const view = roundTrip(new DataView(memory.buffer, 4, 8));
  expect(view.byteLength).toBe(8);
  const overShared = new Int32Array(new SharedArrayBuffer(8));
  overShared[1] = 7;
  expect(roundTrip(overShared)).toEqual(Int32Array.of(0, 7));
  const bytes = roundTrip(Buffer.from('ab'));
  expect(Object.getPrototypeOf(bytes)).toBe(Uint8Array.prototype);
  expect([...bytes]).toEqual([97, 98]);
});

test('kinds of values that are easily lost', () => {
  const mixed = { '': -0, constructor: 1, hasOwnProperty: 2, toString: [undefined, null] };
  expect(roundTrip(mixed)).toStrictEqual(mixed);
  expect(Object.is(roundTrip(mixed)[''], -0)).toBe(true);
  const bare = Object.assign(Object.create(null), { a: 1 });
  expect(Object.getPrototypeOf(roundTrip(bare))).toBeNull();
  expect(roundTrip(new Date(Number.NaN)).getTime()).toBeNaN();
  const odd = ['\ud800', 'a\udc00b', '\ud83d', '\u{1f600}', '', '\0'];
  expect(roundTrip(odd)).toEqual(odd);
  const large = [2n ** 4000n, -(2n ** 64n), 0n, -1n];
  expect(roundTrip(large)).toEqual(large);
  const limits = [Infinity, -Infinity, 5e-324, 2 ** 53, -(2 ** 31), 2 ** 31 - 1, 2 ** 32];
  expect(roundTrip(limits)).toEqual(limits);
  // A hole arrives as undefined.
  // biome-ignore lint/suspicious/noSparseArray: the point of the test
  expect(roundTrip([1, , 3])).toStrictEqual([1, undefined, 3]);
});

test('hidden fields and what else an array carries stay behind', () => {
  const value = Object.defineProperty({ a: 1 }, 'hidden', { value: 3 });
  Object.defineProperty(value, Symbol('hidden'), { value: 3 });
  expect(roundTrip(value)).toStrictEqual({ a: 1 });
  expect(roundTrip(Object.assign([1], { extra: 2 }))).toStrictEqual([1]);
});

test('a tensor in several places is one, other objects are copied for each', () => {
  const twice = { a: 1 };
  const [first, second, third, fourth] = roundTrip([shared, shared, twice, twice]);
  expect(first).toBe(shared);
  expect(second).toBe(shared);
  expect(third).toEqual(fourth);
  expect(third).not.toBe(fourth);
});

test('random, cut and flipped bytes are a protocol_error or another value', () => {
  const check = (bytes: Uint8Array, attached: readonly Uint8Array[] = []): void => {
    try {
      decode(bytes, { leaves: [shared], attached });
    } catch (error) {
      if (isGradwireError(error, 'protocol_error')) return;
      // A name that was hit may be that of no class, an amount no bigint any more.
      const isNamed = /no value class|a Money came that cannot be decoded/.test(String(error));
      if (!isNamed) throw error;
    }
  };
  fc.assert(
    fc.property(value, fc.uint8Array(), fc.nat(), fc.nat(), (sent, noise, at, bit) => {
      check(noise);
      const { bytes, attached } = encode([sent, new Point(1, 2)]);
      check(bytes.subarray(0, at % bytes.length), attached);
      const i = at % bytes.length;
      bytes[i] = (bytes[i] ?? 0) ^ (1 << (bit % 8));
      check(bytes, attached);
    }),
    runs(1000),
  );
});

test('nesting, counts and prototypes are bounded at the receiver too', () => {
  const nested = Buffer.concat([
    ...Array(300).fill(Buffer.from([10, 1, 0, 0, 0])),
    Buffer.from([1]),
  ]);
  expect(() => decode(nested)).toThrow(/^protocol_error: .*nested too deep/);
  // Instances and extensions nest as well.
  const name = Buffer.from([18, 5, 0, 0, 0, ...Buffer.from('Point')]);
  expect(() => decode(Buffer.concat(Array(300).fill(name)))).toThrow(/nested too deep/);
  const many = Buffer.alloc(2 ** 24 + 5);
  many.writeUInt8(12, 0);
  many.writeUInt32LE(2 ** 24, 1);
  expect(() => decode(many)).toThrow(/^protocol_error: .*too many values/);
  const proto = Buffer.from('__proto__');
  for (const tag of [13, 17]) {
    const record = Buffer.concat([Buffer.from([tag, 1, 0, 0, 0, 9, 0, 0, 0]), proto, Buffer.of(1)]);
    expect(() => decode(record)).toThrow(/^protocol_error: .*__proto__/);
  }
  const odd: [number[], RegExp][] = [
    [[6, 2, 0, 0, 0, 0x7a, 0x7a], /bigint that is no number/],
    [[15, 77, 1], /unknown extension 77/],
    [[15, 4, 1], /an error came that is none/],
    [[99], /unknown type 99/],
    [[14, 3, 0, 0, 0], /no tensor 3/],
    [[8, 99, 0, 0, 0, 0], /binary data of no class/],
    // Three bytes are no float32.
    [[8, 9, 3, 0, 0, 0, 1, 2, 3], /binary data of no class/],
    [[16, 0, 5, 0, 0, 0], /binary data of no class/],
    [[18, 5, 0, 0, 0, ...Buffer.from('Point'), 1], /a Point came that is no record/],
  ];
  for (const [bytes, message] of odd) {
    expect(() => decode(Buffer.from(bytes))).toThrow(message);
    expect(() => decode(Buffer.from(bytes))).toThrow(/^protocol_error/);
  }
});

// Apart from the random values: to the matchers no invalid date equals another.
test('an invalid date comes back as one', () => {
  const back = roundTrip(new Date(Number.NaN));
  expect(back).toBeInstanceOf(Date);
  expect(back.getTime()).toBeNaN();
});
