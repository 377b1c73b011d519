/** Random values of the whole closed set that needs neither engine nor worker, for property tests. */
import fc from 'fast-check';
import { registerValue } from '../../rpc/value-classes.ts';

/** Travels by its own fields. */
export class Point {
  x: unknown;
  y: unknown;

  constructor(x: unknown, y: unknown) {
    this.x = x;
    this.y = y;
  }

  sum(): number {
    return Number(this.x) + Number(this.y);
  }
}

/** Travels by a codec: the amount is private, and the constructor checks it. */
export class Money {
  readonly #cents: bigint;

  constructor(cents: bigint) {
    if (typeof cents !== 'bigint') throw new TypeError('money is counted in bigints');
    this.#cents = cents;
  }

  get cents(): bigint {
    return this.#cents;
  }

  equals(other: Money): boolean {
    return this.#cents === other.#cents;
  }
}

/** An error class of the user. */
export class OutOfStock extends Error {
  override name = 'OutOfStock';
  readonly sku: string;
  readonly wanted: unknown;

  constructor(message: string, sku: string, wanted: unknown) {
    super(message);
    this.sku = sku;
    this.wanted = wanted;
  }
}

registerValue({ Point, OutOfStock });
registerValue(
  { Money },
  { encode: ({ cents }) => cents, decode: (cents: bigint) => new Money(cents) },
);

const BINARY: readonly (new (memory: ArrayBuffer) => ArrayBufferView)[] = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
  DataView,
];

/** Typed arrays of every class, ArrayBuffers and DataViews; some long enough to travel beside the values. */
export const anyBinary: fc.Arbitrary<ArrayBuffer | ArrayBufferView> = fc
  .tuple(
    fc.constantFrom(...BINARY, undefined),
    fc.uint8Array({ maxLength: 40 }),
    fc.constantFrom(1, 1, 1, 700),
  )
  .map(([Class, some, times]) => {
    const bytes = new Uint8Array(8 * some.length * times);
    for (let i = 0; i < bytes.length; i++) bytes[i] = some[i % some.length] ?? 0;
    return Class === undefined ? bytes.buffer : new Class(bytes.buffer);
  });

const key = fc.string({ unit: 'binary' }).filter((k) => k !== '__proto__');
const text = fc.string({ unit: 'binary' });

/** @param more further leaves */
export function anyValue(...more: readonly unknown[]): fc.Arbitrary<unknown> {
  return fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom(null, undefined, true, false, -0, Number.NaN, 2 ** 31, -(2 ** 31), ...more),
      fc.double(),
      fc.integer(),
      fc.bigInt(),
      text,
      anyBinary,
      fc.date({ noInvalidDate: true }),
      fc.bigInt().map((cents) => new Money(cents)),
      fc.array(tie('value'), { maxLength: 5 }),
      fc.array(fc.tuple(tie('value'), tie('value')), { maxLength: 4 }).map((e) => new Map(e)),
      fc.array(tie('value'), { maxLength: 4 }).map((e) => new Set(e)),
      fc.dictionary(key, tie('value'), { maxKeys: 4 }),
      fc.tuple(tie('value'), tie('value')).map(([x, y]) => new Point(x, y)),
      fc
        .tuple(text, tie('value'), tie('value'))
        .map(([message, wanted, cause]) =>
          Object.assign(new OutOfStock(message, 'sku', wanted), { cause }),
        ),
    ),
  })).value;
}
