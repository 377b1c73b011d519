/** The text of faults: what it may say, and that what makes no sense is refused with the reason. */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isGradwireError } from '../../../errors.ts';
import { FAULTY_KINDS, readFaultRules } from '../../../rpc/faults/fault-rules.ts';
import { runs } from '../../support/runs.ts';

test('a rule says who, what, which way, how, how often and which', () => {
  const { rules, seed } = readFaultRules(
    ' call=drop:0.05, gradient=delay:50ms;seed=7,trainer1/call+method.received=kill:20ms@3 , references.fork=fail*2,remote=delay:1.5s:.5@2-9',
  );
  expect(seed).toBe(7);
  const all = { worker: undefined, notice: undefined, delayMs: 0, probability: 1, first: 1 };
  const sent = { ...all, direction: 'sent', last: Number.POSITIVE_INFINITY };
  expect(rules).toEqual([
    { ...sent, text: 'call=drop:0.05', kinds: ['call'], action: 'drop', probability: 0.05 },
    { ...sent, text: 'gradient=delay:50ms', kinds: ['gradient'], action: 'delay', delayMs: 50 },
    {
      ...sent,
      text: 'trainer1/call+method.received=kill:20ms@3',
      worker: 'trainer1',
      kinds: ['call', 'method'],
      direction: 'received',
      action: 'kill',
      delayMs: 20,
      first: 3,
      last: 3,
    },
    {
      ...sent,
      text: 'references.fork=fail*2',
      kinds: ['references'],
      notice: 'fork',
      action: 'fail',
      last: 2,
    },
    {
      ...sent,
      text: 'remote=delay:1.5s:.5@2-9',
      kinds: ['remote'],
      action: 'delay',
      delayMs: 1500,
      probability: 0.5,
      first: 2,
      last: 9,
    },
  ]);
});

test('a star is every kind of message but those of the connection itself', () => {
  expect(readFaultRules('*=drop').rules[0]?.kinds).toEqual(FAULTY_KINDS);
  expect(FAULTY_KINDS).toContain('reply');
  expect(FAULTY_KINDS).not.toContain('credit');
  // These two have no number by which a second one would be known.
  const twice = readFaultRules('*=duplicate').rules[0]?.kinds ?? [];
  expect(FAULTY_KINDS.filter((kind) => !twice.includes(kind))).toEqual([
    'streamCredit',
    'streamItem',
  ]);
});

test.each([
  ['call', 'has the form'],
  ['call=lose', 'none of fail, drop'],
  ['calls=drop', 'none of *'],
  ['credit=drop', 'none of *'],
  ['call=drop:50ms', 'takes no time'],
  ['call=delay', 'needs a time'],
  ['call=delay:50', 'neither a time'],
  ['call=delay:1000s', 'longest time'],
  ['call=drop:1.5', 'neither a time'],
  ['call=drop:0.5:0.5', 'neither a time'],
  ['call=drop@0', 'counted from 1'],
  ['call=drop@5-2', 'counted from 1'],
  ['call=drop@x', 'has the form'],
  ['call.later=drop', 'stands received'],
  ['call.fork=drop', 'stands received'],
  ['references.fork.received.received=drop', 'too many parts'],
  ['call.received=fail', 'what is sent'],
  ['reply.received=dropReply', 'what is sent'],
  ['streamItem=duplicate', 'cannot come twice'],
  ['a b/call=drop', 'worker name'],
  ['seed=-1', 'whole number'],
  ['seed=4294967296', 'whole number'],
])('%s is refused: %s', (text, why) => {
  expect(() => readFaultRules(text)).toThrow(why);
  expect(() => readFaultRules(text)).toThrow(`'${text}'`);
});

test('any text is read or refused as invalid_argument', () => {
  const piece = fc.constantFrom(
    'call',
    '*',
    '=',
    'drop',
    'delay',
    ':',
    '50ms',
    '@',
    '1',
    '+',
    '.',
    '/',
  );
  const text = fc.oneof(
    fc.string(),
    fc.array(piece).map((pieces) => pieces.join('')),
  );
  fc.assert(
    fc.property(text, (rules) => {
      try {
        readFaultRules(rules);
      } catch (error) {
        expect(isGradwireError(error, 'invalid_argument')).toBe(true);
      }
    }),
    runs(500),
  );
});
