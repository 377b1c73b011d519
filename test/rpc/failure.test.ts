import { expect, test } from '@jest/globals';
import { GradwireError } from '../../errors.ts';
import { fromWire, toWire } from '../../rpc/failure.ts';

test('an error of gradwire keeps its code and where it was made', () => {
  const error = new GradwireError('unknown_rref', 'it is gone', {
    peer: 'c',
    maybeExecuted: false,
  });
  const made = fromWire(toWire(error, false), 'b', 'f');
  expect(made).toMatchObject({ code: 'unknown_rref', peer: 'c', maybeExecuted: false });
  expect(made.message).toBe('unknown_rref: it is gone (f on c)');
  expect(made.cause).toBeUndefined();
  // Once code of the user has run, no error may say that it has not.
  expect(fromWire(toWire(error, true), 'b', 'f').maybeExecuted).toBe(true);
  expect(fromWire(toWire(new Error('x'), true), 'b', 'f').maybeExecuted).toBe(true);
  // Before that, only what ran earlier may say so.
  for (const early of [new Error('x'), new GradwireError('unknown_rref', 'x'), undefined]) {
    expect(fromWire(toWire(early, false), 'b', 'f').maybeExecuted).toBe(false);
  }
  const earlier = new GradwireError('remote_error', 'x', { maybeExecuted: true });
  expect(fromWire(toWire(earlier, false), 'b', 'f').maybeExecuted).toBe(true);
});

test('an error of any built-in class has a cause of that class', () => {
  for (const Class of [TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError]) {
    const error = new Class('why');
    const made = fromWire(toWire(error), 'b', 'f');
    expect(made.cause).toBeInstanceOf(Class);
    expect(made.cause).toMatchObject({ message: 'why', stack: error.stack });
  }
  const named = Object.assign(new Error('m'), { name: 'toString' });
  expect(fromWire(toWire(named), 'b', 'f').cause).toMatchObject({ name: 'toString' });
});

test('whatever is thrown can be sent', () => {
  const getter = Object.defineProperty(new Error('x'), 'stack', {
    get: () => {
      throw new Error('no');
    },
  });
  const odd = [
    undefined,
    null,
    5,
    Symbol('s'),
    Object.create(null),
    getter,
    { message: {}, stack: 1 },
  ];
  for (const thrown of odd) {
    expect(fromWire(toWire(thrown), 'b', 'f')).toMatchObject({ code: 'remote_error', peer: 'b' });
  }
});

test('what is no failure is a protocol_error, odd fields are taken as text', () => {
  for (const wire of [null, undefined, 5, 'x']) {
    expect(() => fromWire(wire, 'b', 'f')).toThrow(/^protocol_error/);
  }
  const odd = fromWire({ code: 'toString', message: 5, name: {}, peer: 7 }, 'b', 'f');
  expect(odd).toMatchObject({ code: 'remote_error', peer: 'b', maybeExecuted: true });
});
