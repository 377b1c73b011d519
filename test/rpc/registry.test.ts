import { expect, test } from '@jest/globals';
import {
  asClass,
  isRegisteredInstance,
  lookUp,
  methodOf,
  named,
  nameOf,
  register,
} from '../../rpc/registry.ts';

class Base {
  inherited(): string {
    return 'base';
  }

  hidden(): string {
    return 'base';
  }
}

class Thing extends Base {
  field: () => number = () => 1;

  method(): string {
    return 'method';
  }

  // @ts-expect-error an accessor in place of a method
  override get hidden(): () => string {
    return () => 'accessor';
  }

  get accessor(): () => number {
    return () => 1;
  }

  // biome-ignore lint/suspicious/noThenProperty: the point of the test
  then(): void {}
  _private(): void {}
  #really(): number {
    return 1;
  }

  useIt(): number {
    return this.#really();
  }

  [Symbol.iterator](): void {}

  static make(): Thing {
    return new Thing();
  }
}
class Unknown {
  method(): void {}
}
function plain(): number {
  return 1;
}
register({ Thing, plain });

test('a method is a data property of the prototype of a registered class or its bases', () => {
  const thing = new Thing();
  expect(methodOf(thing, 'method').call(thing)).toBe('method');
  expect(methodOf(thing, 'inherited').call(thing)).toBe('base');
  expect(methodOf(thing, 'useIt').call(thing)).toBe(1);
  class Derived extends Thing {}
  expect(() => methodOf(new Derived(), 'method')).toThrow(/class Derived, whose class is not/);
});

test.each([
  'accessor',
  'hidden',
  'field',
  'then',
  '_private',
  '__proto__',
  'constructor',
  'make',
  'toString',
  'hasOwnProperty',
  'valueOf',
  '__defineGetter__',
  '',
  'prototype',
  Symbol.iterator,
  5,
  null,
])('%p is no method', (name) => {
  expect(() => methodOf(new Thing(), name)).toThrow(/^unknown_method: Thing has no remote method/);
});

test('what is no instance of a registered class has no methods', () => {
  const faked = Object.assign(Object.create({ method: () => 1 }), { constructor: Thing });
  for (const target of [new Unknown(), {}, [], plain, 'text', 5, null, undefined, faked, Thing]) {
    expect(() => methodOf(target, 'method')).toThrow(/^unknown_method: the reference holds/);
  }
  expect(isRegisteredInstance(new Thing())).toBe(true);
  for (const value of [new Unknown(), {}, null, 5, Thing]) {
    expect(isRegisteredInstance(value)).toBe(false);
  }
});

test('near names are offered, hidden ones are not', () => {
  expect(() => methodOf(new Thing(), 'metod')).toThrow(/Did you mean method\?/);
  expect(() => methodOf(new Thing(), 'accesor')).not.toThrow(/Did you mean/);
  expect(() => lookUp('plan')).toThrow(/^unknown_function: .*Did you mean plain\?/);
});

test('names are looked up among own entries alone (G3)', () => {
  expect(lookUp('plain')).toEqual({ callable: plain, self: undefined });
  for (const name of ['toString', '__proto__', 'constructor', 5, null, ['plain'], {}]) {
    expect(() => lookUp(name)).toThrow(/^unknown_function/);
  }
});

test('a name stands for one thing', () => {
  register({ plain });
  expect(() => register({ plain: () => 2 })).toThrow(/^already_registered: plain/);
  expect(() => register({ bad: 5 as never })).toThrow(/^invalid_argument: bad is not a function/);
  register({ alias: plain });
  expect(nameOf(plain)).toBe('plain');
  expect(lookUp('alias').callable).toBe(plain);
});

test('callables are known by their registration or as stand-ins', () => {
  const standIn = named<typeof plain>('elsewhere');
  expect(nameOf(standIn)).toBe('elsewhere');
  expect(() => standIn()).toThrow(/^not_registered: elsewhere is a stand-in/);
  expect(() => nameOf(Unknown)).toThrow(/^not_registered: Unknown was not registered/);
  expect(() => nameOf(() => 1)).toThrow(/^not_registered: an anonymous function/);
  expect(() => nameOf('plain' as never)).toThrow(/^invalid_argument: plain is not a function/);
  expect(asClass(Thing)).toBe(Thing);
  expect(asClass(plain)).toBeUndefined();
});
