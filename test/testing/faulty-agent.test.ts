/** PyTorch's options for faults. */
import { expect, test } from '@jest/globals';
import { faultyAgent } from '../../testing/index.ts';

test('names of PyTorch are read as rules', () => {
  const { chaos } = faultyAgent({
    messagesToFail: ['RREF_FORK_REQUEST', 'RREF_USER_DELETE'],
    numFailSends: 3,
    messagesToDelay: { PYTHON_CALL: 1500 },
  });
  expect(chaos.text).toBe('references.fork=fail*3,references.drop=fail*3,call+method=delay:1500ms');
});

test('by default nothing fails, as in PyTorch', () => {
  expect(faultyAgent().chaos.text).toBe('');
  expect(faultyAgent({ messagesToFail: ['PYTHON_CALL'] }).chaos.text).toBe('call+method=fail*0');
});

test('an unknown name is refused with those that are known', () => {
  expect(() => faultyAgent({ messagesToFail: ['CALL'] })).toThrow('PYTHON_CALL');
});
