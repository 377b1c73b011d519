import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { errorNote, readNote } from '../../cli/rank-note.ts';
import { GradwireError } from '../../errors.ts';

const remote = new GradwireError('remote_error', 'TypeError: x (thrown by f on ps)', {
  peer: 'ps',
  remoteName: 'TypeError',
  remoteStack: 'TypeError: x\n    at f',
});

test.each<[unknown, object]>([
  [new RangeError('x'), { text: 'RangeError: x' }],
  ['x', { text: 'x' }],
  [undefined, { text: 'undefined' }],
  [{ message: 'x' }, { text: 'Error: x' }],
  [Object.assign(new Error('no file'), { code: 'ENOENT' }), { text: 'Error: no file' }],
  [
    new GradwireError('unavailable', 'ps is gone', { peer: 'ps' }),
    { text: 'unavailable: ps is gone' },
  ],
  [remote, { text: remote.message, peer: 'ps', remoteStack: 'TypeError: x\n    at f' }],
  [
    new Error('wrapped', { cause: new Error('again', { cause: remote }) }),
    { text: 'Error: wrapped', peer: 'ps', remoteStack: 'TypeError: x\n    at f' },
  ],
])('%p arrives', (thrown, expected) => {
  const note = errorNote(thrown, 7);
  expect(note).toEqual({ gradwire: 'error', error: { atMs: 7, ...expected } });
  expect(readNote(JSON.parse(JSON.stringify(note)))).toEqual(note);
});

test('a cause that is its own cause ends', () => {
  const error = new Error('x');
  error.cause = error;
  expect(errorNote(error, 0)).toMatchObject({ error: { text: 'Error: x' } });
});

test('long texts are cut', () => {
  const note = errorNote(new Error('x'.repeat(100_000)), 0);
  expect(JSON.stringify(note).length).toBeLessThan(20_000);
});

test('names and times are read', () => {
  expect(readNote({ gradwire: 'worker', name: 'a' })).toEqual({ gradwire: 'worker', name: 'a' });
  expect(readNote({ gradwire: 'exit', atMs: 3 })).toEqual({ gradwire: 'exit', atMs: 3 });
});

test('what is no note is none', () => {
  const field = fc.oneof(fc.constantFrom('worker', 'exit', 'error'), fc.anything());
  const wrong = fc.record({ gradwire: field, name: fc.nat(), atMs: fc.string(), error: fc.nat() });
  fc.assert(
    fc.property(fc.oneof(wrong, fc.string(), fc.constant(null)), (message) => {
      expect(readNote(message)).toBeUndefined();
    }),
  );
});
