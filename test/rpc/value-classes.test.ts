import { expect, test } from '@jest/globals';
import { GradwireError } from '../../errors.ts';
import { COMMON_EXTENSIONS } from '../../rpc/extensions.ts';
import { type Packet, pack, unpack } from '../../rpc/packet.ts';
import { registerValue } from '../../rpc/value-classes.ts';
import { Money, OutOfStock, Point } from '../support/values.ts';

function bytesOf(body: unknown): Uint8Array {
  const { parts } = pack(
    { head: null, body, bodyName: 'it' },
    COMMON_EXTENSIONS,
    () => null,
  ) as Packet;
  return Buffer.concat(parts);
}

function roundTrip<T>(body: T): T {
  return unpack(bytesOf(body), new Map()).body as T;
}

test('an instance arrives as one, with its fields and the methods of its class', () => {
  const back = roundTrip([new Point(1, new Point(2, [3]))])[0];
  expect(back).toBeInstanceOf(Point);
  expect(back?.sum).toBe(Point.prototype.sum);
  expect(back).toStrictEqual(new Point(1, new Point(2, [3])));
  expect(roundTrip(new Money(5n)).equals(new Money(5n))).toBe(true);
});

test('no constructor, setter or accessor of the class runs', () => {
  let ran = 0;
  class Guarded {
    a = 1;
    constructor() {
      ran++;
    }
    get b(): number {
      return ran++;
    }
    set b(_: number) {
      ran++;
    }
  }
  registerValue({ Guarded });
  const sent = new Guarded();
  Object.defineProperty(sent, 'b', { value: 2, enumerable: true });
  const back = roundTrip(sent);
  expect(Object.getOwnPropertyDescriptor(back, 'b')?.value).toBe(2);
  expect(ran).toBe(1);
});

test('what encode and decode throw is told with the path and the cause', () => {
  class Fragile {
    readonly at: 'encode' | 'decode' | 'never';
    constructor(at: 'encode' | 'decode' | 'never') {
      this.at = at;
    }
  }
  registerValue(
    { Fragile },
    {
      encode: ({ at }) => {
        if (at === 'encode') throw new RangeError('not so');
        return at;
      },
      decode: (at: 'decode' | 'never') => {
        if (at === 'decode') throw new RangeError('nor so');
        return at === 'never' ? ({} as Fragile) : new Fragile(at);
      },
    },
  );
  expect(() => bytesOf({ a: new Fragile('encode') })).toThrow(
    /^unsupported_value: it\.a is a value whose encoding failed: RangeError: not so/,
  );
  expect(() => roundTrip(new Fragile('decode'))).toThrow(
    /^unsupported_value: a Fragile came that cannot be decoded: RangeError: nor so/,
  );
  expect(() => roundTrip(new Fragile('never'))).toThrow(/decode gave something else/);
});

test('a codec that gives itself, or what cannot be sent, is refused', () => {
  class Ouroboros {
    x = 1;
  }
  registerValue({ Ouroboros }, { encode: (self) => [self], decode: () => new Ouroboros() });
  expect(() => bytesOf(new Ouroboros())).toThrow(
    /it\[0\] refers to it: a value that contains itself/,
  );
  class Escape {
    x = 1;
  }
  registerValue({ Escape }, { encode: () => ({ run: () => 1 }), decode: () => new Escape() });
  expect(() => bytesOf([new Escape()])).toThrow(/it\[0\]\.run is the function/);
});

test('a class that is not registered where it arrives is named, with what is near', () => {
  const bytes = Buffer.from(bytesOf(new Point(1, 2)));
  bytes.write('Paint', bytes.indexOf('Point'));
  expect(() => unpack(bytes, new Map())).toThrow(
    /^unknown_function: no value class Paint is registered: .* Did you mean Point/,
  );
  const error = Buffer.from(bytesOf(new Point(1, 2)).toString().replace('Point', 'Error'));
  expect(() => unpack(error, new Map())).toThrow(/no value class Error is registered/);
});

test('a class extends a registered one: each is registered for itself', () => {
  class Point3 extends Point {
    z = 3;
  }
  registerValue({ Point3 });
  const back = roundTrip(new Point3(1, 2));
  expect(back).toStrictEqual(new Point3(1, 2));
  expect(back).toBeInstanceOf(Point);
});

test('a class of built-in kind travels by a codec', () => {
  class Bag extends Map<string, number> {}
  expect(() => registerValue({ Bag })).toThrow(/^invalid_argument: Bag extends Map: give a codec/);
  const codec = {
    encode: (bag: Bag) => new Map(bag),
    decode: (map: Map<string, number>) => new Bag(map),
  };
  registerValue({ Bag }, codec);
  registerValue({ Bag }, codec);
  expect(roundTrip(new Bag([['a', 1]]))).toStrictEqual(new Bag([['a', 1]]));
});

test.each<[string, () => void, RegExp]>([
  ['nothing', () => registerValue(null as never), /takes a record/],
  ['no class', () => registerValue({ x: 5 as never }), /x does not stand for a class/],
  [
    'a function without instances',
    () => registerValue({ f: (() => 1) as never }),
    /f does not stand/,
  ],
  ['a class without a name', () => registerValue({ '': Point }), /the empty name does not stand/],
  ['a built-in class', () => registerValue({ Map }), /Map is a built-in class/],
  ['a built-in error', () => registerValue({ RangeError }), /RangeError is a built-in class/],
  [
    'an error with a codec',
    () =>
      registerValue({ OutOfStock }, { encode: () => 1, decode: () => new OutOfStock('', '', 1) }),
    /is an error class: those take no codec/,
  ],
  [
    'half a codec',
    () => registerValue({ Point }, { encode: () => 1 } as never),
    /a codec has two functions/,
  ],
  [
    'a codec for two',
    () => registerValue<object, number>({ Point, Money }, { encode: () => 1, decode: () => ({}) }),
    /speaks for one class, not for 2: Point, Money/,
  ],
])('refuses %s', (_, register, message) => {
  expect(register).toThrow(message);
  expect(register).toThrow(/^invalid_argument/);
});

test('a name stands for one class, a class for one codec; the same again does nothing', () => {
  registerValue({ Point, OutOfStock });
  class Other {}
  expect(() => registerValue({ Point: Other })).toThrow(/^already_registered: Point/);
  expect(() => registerValue({ Money })).toThrow(/^already_registered: Money/);
  // A second name for a class is one more by which it can arrive.
  registerValue({ AlsoPoint: Point });
  expect(roundTrip(new Point(1, 2))).toStrictEqual(new Point(1, 2));
});

test('errors of gradwire are values too', () => {
  const bytes = bytesOf(new GradwireError('no_gradient', 'so', { peer: 'b', cause: [1] }));
  const extensions = new Map(COMMON_EXTENSIONS.map((one) => [one.tag, one]));
  const back = unpack(bytes, extensions).body;
  expect(back).toBeInstanceOf(GradwireError);
  expect(back).toMatchObject({
    code: 'no_gradient',
    message: 'no_gradient: so',
    peer: 'b',
    cause: [1],
  });
});
