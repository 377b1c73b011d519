import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Queue } from '../../rpc/queue.ts';
import { runs } from '../support/runs.ts';

test('first in, first out, whatever is taken out in between', () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.constant('push' as const) },
    { weight: 2, arbitrary: fc.constant('shift' as const) },
    { weight: 2, arbitrary: fc.nat().map((at) => ({ at })) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const queue = new Queue<{ id: number; isDead: boolean }>(({ isDead }) => isDead);
      let expected: { id: number; isDead: boolean }[] = [];
      for (const [id, what] of steps.entries()) {
        if (what === 'push') {
          const entry = { id, isDead: false };
          queue.push(entry);
          expected.push(entry);
        } else if (what === 'shift') expect(queue.shift()).toBe(expected.shift());
        else if (expected.length > 0) {
          const entry = expected[what.at % expected.length];
          if (entry === undefined) throw new Error('never');
          entry.isDead = true;
          queue.died();
          expected = expected.filter((one) => one !== entry);
        }
        expect(queue.length).toBe(expected.length);
        expect(queue.peek()).toBe(expected[0]);
      }
      expect(queue.all()).toEqual(expected);
    }),
    runs(200),
  );
});

test('what was taken out does not pile up behind a first that stays', () => {
  const queue = new Queue<{ isDead: boolean }>(({ isDead }) => isDead);
  queue.push({ isDead: false });
  for (let i = 0; i < 10_000; i++) {
    const entry = { isDead: false };
    queue.push(entry);
    entry.isDead = true;
    queue.died();
  }
  expect(queue.length).toBe(1);
  expect(queue.all()).toHaveLength(1);
});
