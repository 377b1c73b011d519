import { expect, test } from '@jest/globals';
import { GradwireError } from '../../errors.ts';
import { COMMON_EXTENSIONS } from '../../rpc/extensions.ts';
import { fromWire, toWire } from '../../rpc/failure.ts';
import { type Packet, pack, unpack } from '../../rpc/packet.ts';
import { registerValue } from '../../rpc/value-classes.ts';
import { OutOfStock, Point } from '../support/values.ts';

const extensions = new Map(COMMON_EXTENSIONS.map((one) => [one.tag, one]));

function roundTrip<T>(body: T): T {
  const packet = pack(
    { head: null, body, bodyName: 'it' },
    COMMON_EXTENSIONS,
    () => null,
  ) as Packet;
  return unpack(Buffer.concat(packet.parts), extensions).body as T;
}

/** What the caller gets for what was thrown, over the wire. */
function failed(thrown: unknown): GradwireError {
  return fromWire(roundTrip(toWire(thrown)), 'b', 'f');
}

class Unregistered extends RangeError {
  override name = 'Unregistered';
  secret = 'x';
}
class Sub extends OutOfStock {}

class Unnamed extends TypeError {}
class UnnamedSub extends Unnamed {}
/** Registered, without a name of its own. */
class Plain extends Error {}
registerValue({ Plain });

test('an error whose class sets no name is called by the class', () => {
  const nameless = class extends RangeError {};
  Object.defineProperty(nameless, 'name', { value: '' });
  const cases = [
    [new Unnamed('m'), 'Unnamed'],
    [new UnnamedSub('m'), 'UnnamedSub'],
    [new Plain('m'), 'Plain'],
    [new nameless('m'), 'RangeError'],
    [Object.assign(new Unnamed('m'), { name: 'Mine' }), 'Mine'],
    [new DOMException('m', 'AbortError'), 'AbortError'],
  ] as const;
  for (const [error, name] of cases) {
    const back = failed(error);
    expect(back.remoteName).toBe(name);
    expect(back.message).toBe(`remote_error: ${name}: m (thrown by f on b)`);
  }
  for (const back of [roundTrip(new Unnamed('m')), failed(new Unnamed('m')).cause as Error]) {
    expect(back).toBeInstanceOf(TypeError);
    expect(back.name).toBe('Unnamed');
  }
  // What the receiver has too needs no name of its own.
  for (const back of [roundTrip(new Plain('m')), failed(new Plain('m')).cause as Error]) {
    expect(back).toBeInstanceOf(Plain);
    expect(Object.hasOwn(back, 'name')).toBe(false);
  }
});

test('errors of built-in classes arrive as such, with stack and cause', () => {
  const classes = [Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError];
  for (const Class of classes) {
    const error = new Class('why', { cause: { a: [1] } });
    const back = roundTrip(error);
    expect(Object.getPrototypeOf(back)).toBe(Class.prototype);
    expect(back).toMatchObject({ message: 'why', stack: error.stack, cause: { a: [1] } });
    expect(Object.keys(back)).toEqual([]);
  }
  expect('cause' in roundTrip(new Error('x'))).toBe(false);
  expect(Object.hasOwn(roundTrip(new Error('x', { cause: undefined })), 'cause')).toBe(true);
});

test('chains of causes and the errors of an AggregateError arrive, as values and as failures', () => {
  const error = new AggregateError(
    [
      new TypeError('one', { cause: new RangeError('deep') }),
      'two',
      new OutOfStock('three', 'a', 3),
    ],
    'all',
    { cause: new OutOfStock('four', 'b', [4]) },
  );
  for (const back of [roundTrip(error), failed(error).cause as AggregateError]) {
    expect(back).toBeInstanceOf(AggregateError);
    expect(back.message).toBe('all');
    expect(back.errors[0]).toBeInstanceOf(TypeError);
    expect(back.errors[0].cause).toBeInstanceOf(RangeError);
    expect(back.errors[1]).toBe('two');
    expect(back.errors[2]).toBeInstanceOf(OutOfStock);
    expect(back.cause).toBeInstanceOf(OutOfStock);
    expect(back.cause).toMatchObject({ sku: 'b', wanted: [4], message: 'four' });
  }
});

test('a registered class arrives as itself without its constructor, others as their nearest', () => {
  for (const back of [roundTrip(new Sub('m', 'sku', 1)), failed(new Sub('m', 'sku', 1)).cause]) {
    expect(back).toBeInstanceOf(OutOfStock);
    expect(back).toMatchObject({ name: 'OutOfStock', sku: 'sku', wanted: 1, message: 'm' });
  }
  const given = Object.assign(new Unregistered('m'), { code: 'EBAD' });
  for (const back of [roundTrip(given), failed(given).cause as Unregistered]) {
    expect(Object.getPrototypeOf(back)).toBe(RangeError.prototype);
    expect(back).toMatchObject({ name: 'Unregistered', message: 'm', code: 'EBAD' });
    expect('secret' in back).toBe(false);
  }
  let ran = 0;
  class Counted extends Error {
    constructor() {
      super('counted');
      ran++;
    }
  }
  registerValue({ Counted });
  expect(roundTrip(new Counted())).toBeInstanceOf(Counted);
  expect(ran).toBe(1);
});

test('a failure arrives whatever is in its error: what cannot be sent is left out', () => {
  const bad = { fn: () => 1 };
  const error = new OutOfStock('m', 'sku', bad);
  Object.assign(error, { list: [1, { a: null }], point: new Point(1, 2), when: new Date(0) });
  error.cause = bad;
  const { cause } = failed(error) as { cause: OutOfStock & Record<string, unknown> };
  expect(cause).toBeInstanceOf(OutOfStock);
  expect(cause).toMatchObject({ sku: 'sku', list: [1, { a: null }] });
  expect(Object.keys(cause).sort()).toEqual(['list', 'name', 'sku']);
  expect(cause.cause).toBe('[object Object]');
  // As a value it is refused like all else.
  expect(() => roundTrip(error)).toThrow(/it\.fields\.wanted\.fn is the function/);
});

test('a failure is bounded: causes that repeat or never end, many errors, long texts', () => {
  const loop = new Error('loop');
  loop.cause = new Error('back', { cause: loop });
  const back = failed(loop).cause as Error & { cause: Error };
  expect([back.message, back.cause.message, back.cause.cause]).toEqual(['loop', 'back', undefined]);

  let chain = new Error('0');
  for (let i = 1; i < 200; i++) chain = new Error(String(i), { cause: chain });
  let length = 0;
  for (let at: unknown = failed(chain).cause; at instanceof Error; at = at.cause) length++;
  expect(length).toBe(16);

  const many = new AggregateError(Array.from({ length: 500 }, (_, i) => new Error(String(i))));
  expect((failed(many).cause as AggregateError).errors.length).toBe(63);
  const wide = new OutOfStock(
    'm',
    'sku',
    Array.from({ length: 5000 }, () => 0),
  );
  expect(failed(wide).cause).not.toHaveProperty('wanted');
  const long = failed(new OutOfStock('m'.repeat(1e6), 's'.repeat(1e6), 1));
  expect(long.message.length).toBeLessThan(20_000);
  expect(long.cause).not.toHaveProperty('sku');
});

test('an error of gradwire that was caused by another says so across workers', () => {
  const inside = new GradwireError('remote_error', 'TypeError: no', {
    peer: 'c',
    cause: new TypeError('no'),
  });
  const made = failed(new GradwireError('backward_failed', 'on c', { peer: 'c', cause: inside }));
  expect(made).toMatchObject({ code: 'backward_failed', peer: 'c' });
  expect(made.cause).toBeInstanceOf(GradwireError);
  expect(made.cause).toMatchObject({ code: 'remote_error', peer: 'c' });
  expect((made.cause as Error).cause).toBeInstanceOf(TypeError);
});

test('a record that is no error of ours is a protocol_error or an ordinary error', () => {
  const decode = (plain: unknown): unknown =>
    COMMON_EXTENSIONS.find(({ tag }) => tag === 4)?.decode(plain);
  const good = { kind: 'Error', name: 'N', message: 'm', stack: 's', fields: {} };
  for (const plain of [
    null,
    5,
    'x',
    {},
    { ...good, kind: 1 },
    { ...good, class: 5 },
    { ...good, errors: 5 },
    { ...good, fields: null },
  ]) {
    expect(() => decode(plain)).toThrow(/^protocol_error/);
  }
  for (const kind of ['__proto__', 'constructor', 'Function', 'toString']) {
    expect(Object.getPrototypeOf(decode({ ...good, kind }))).toBe(Error.prototype);
  }
  // A class that is no error class here, and one that nobody knows.
  for (const name of ['Point', 'Nobody']) {
    expect(Object.getPrototypeOf(decode({ ...good, class: name }))).toBe(Error.prototype);
  }
  const odd = decode({ ...good, kind: 'GradwireError', fields: { code: 'toString', peer: 7 } });
  expect(odd).toMatchObject({ code: 'remote_error', peer: undefined });
});
