/** What is no value is refused where it is sent, by its path, and with what to do. */
import { expect, test } from '@jest/globals';
import { errorExtension } from '../../rpc/error-values.ts';
import { ValueEncoder } from '../../rpc/value-encoder.ts';
import { Point } from '../support/values.ts';

function encode(value: unknown): void {
  const attaching = { tensor: () => undefined, bytes: () => 0 };
  new ValueEncoder([errorExtension], attaching).encode(value, 'it');
}

class Plain {
  x = 1;
}
class Rootless {
  x = 1;
}
Object.setPrototypeOf(Rootless.prototype, null);
class List extends Array<number> {}
class Registry extends Map<string, number> {}
class Child extends Point {}

const cycle: { deep: unknown[] } = { deep: [] };
cycle.deep.push(new Map([['again', cycle]]));
const inner: Record<string, unknown> = { list: [] };
inner['b'] = { back: inner };
const point = new Point(1, 2);
point.y = [point];
const looped = new Error('x');
looped.cause = looped;
const deep = Array.from({ length: 101 }).reduce<unknown>((inside) => [inside], 0);
const accessor = {
  get now() {
    return 5;
  },
};

const throwing = new Proxy(
  { x: 1 },
  {
    getOwnPropertyDescriptor: () => {
      throw new RangeError('no');
    },
  },
);

/** A buffer whose memory went elsewhere, or a view of it. */
function transferred(isView = false): ArrayBuffer | Uint8Array {
  const view = new Uint8Array(8);
  structuredClone(view.buffer, { transfer: [view.buffer] });
  return isView ? view : view.buffer;
}

function revoked(target: object): object {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

test.each<[string, unknown, RegExp]>([
  [
    'a function',
    { a: [function named() {}] },
    /^unsupported_value: it\.a\[0\] is the function named;/,
  ],
  ['a class', [Plain], /^unsupported_value: it\[0\] is the function Plain/],
  ['a method field', new Point(() => 1, 0), /it\.x is the function/],
  ['a symbol', new Set([1, Symbol('s')]), /^unsupported_value: it\[1\] is a symbol/],
  ['a promise', { p: Promise.resolve() }, /^unsupported_value: it\.p is a promise; await it/],
  ['an accessor', { a: accessor }, /it\.a\.now is an accessor; .*send what it gives/],
  [
    'an accessor of an instance',
    Object.defineProperty(new Point(1, 2), 'z', { get: () => 1, enumerable: true }),
    /it\.z is an accessor/,
  ],
  [
    'an instance',
    [new Plain()],
    /it\[0\] is an object of class Plain, .*rpc\.registerValue\(\{ Plain \}\)/,
  ],
  ['an instance without a root', new Rootless(), /it is an object of class Rootless/],
  [
    'an instance of a subclass of a registered class',
    new Child(1, 2),
    /it is an object of class Child/,
  ],
  ['a subclass of Array', new List(1, 2), /it is an object of class List/],
  ['a subclass of Map', [new Registry()], /it\[0\] is an object of class Registry/],
  [
    'an entry',
    new Map([
      ['k', 1],
      ['l', new Intl.Collator() as never],
    ]),
    /it\.entry 1 is an object of class Collator/,
  ],
  ['a key', new Map([[{ f: () => {} }, 1]]), /it\.key 0\.f is the function/],
  [
    'a cause',
    [new Error('x', { cause: [new Plain()] })],
    /it\[0\]\.cause\[0\] is an object of class Plain/,
  ],
  ['a boxed number', [Object(1)], /it\[0\] is an object of class Number/],
  [
    'a regular expression',
    /x/,
    /it is an object of class RegExp, which cannot be sent: send what it stands for/,
  ],
  ['a weak map', new WeakMap(), /it is an object of class WeakMap/],
  [
    'a symbol as a key',
    { a: { [Symbol('s')]: 1 } },
    /it\.a\.Symbol\(s\) is a field with a symbol as/,
  ],
  [
    'one of an instance',
    Object.assign(new Point(1, 2), { [Symbol.iterator]: 1 }),
    /it\.Symbol\(Symbol\.iterator\) is a field/,
  ],
  [
    'one of an array',
    [Object.assign([1], { [Symbol('s')]: 1 })],
    /it\[0\]\.Symbol\(s\) is a field/,
  ],
  [
    'a match',
    { m: /(?<a>x)/.exec('x') },
    /it\.m is the match of a regular expression, .*send \[\.{3}match\]/,
  ],
  ['memory that is gone', { b: [transferred()] }, /it\.b\[0\] is binary data that cannot be read/],
  ['a view of it', [new Uint8Array(8), transferred(true)], /it\[1\] is binary data that cannot be/],
  ['a revoked proxy', { a: [revoked({})] }, /it\.a\[0\] is a proxy that cannot be read: TypeError/],
  [
    'that of an array',
    { a: [revoked([])] },
    /it\.a\[0\] is a proxy that cannot be read: TypeError/,
  ],
  ['a proxy that throws', { a: throwing }, /it\.a is a proxy that cannot be read: RangeError: no/],
  ['shared memory', [new SharedArrayBuffer(8)], /it\[0\] is shared memory; send a typed array/],
  [
    'a cycle',
    cycle,
    /it\.deep\[0\]\.entry 0 refers to it: a value that contains itself cannot be sent/,
  ],
  ['a cycle below', [0, inner], /it\[1\]\.b\.back refers to it\[1\]:/],
  ['a cycle of an instance', { point }, /it\.point\.y\[0\] refers to it\.point:/],
  ['a cycle of causes', [looped], /it\[0\]\.cause refers to it\[0\]:/],
  ['too deep', deep, /is a value nested more than 100 deep/],
  ['a prototype', JSON.parse('{"__proto__": 1}'), /it is a field named __proto__/],
  ['a huge bigint', [16n ** 1_100_000n], /it\[0\] is a bigint of more than 1048576/],
])('refuses %s, with its path', (_, value, message) => {
  expect(() => encode(value)).toThrow(message);
  expect(() => encode(value)).toThrow(/^unsupported_value/);
});

test('more values than one message may hold are refused', () => {
  expect(() => encode([new Array(2 ** 24)])).toThrow(/beyond the 16777215 values of one message/);
});

test('no getter runs, whatever is refused', () => {
  let count = 0;
  const trap = Object.defineProperty({}, 'x', { enumerable: true, get: () => count++ });
  expect(() => encode([trap])).toThrow(/it\[0\]\.x is an accessor/);
  expect(count).toBe(0);
});

test('the same object at two places is no cycle', () => {
  const twice = { a: 1 };
  expect(() => encode([twice, { twice }, new Map([[twice, twice]])])).not.toThrow();
});

test('what arrays and records leave behind is no reason to refuse them', () => {
  const record = Object.defineProperty({ a: 1 }, Symbol('hidden'), { value: 1 });
  for (const value of [record, Object.assign([1], { note: 'x' }), new Proxy({ a: [1] }, {})]) {
    expect(() => encode(value)).not.toThrow();
  }
});
