import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { askedThreads, threadCount } from '../../../tensor/threads/count.ts';
import { runs } from '../../support/runs.ts';

test.each([
  [{}, 8, 1, 8],
  [{}, 8, 3, 2],
  [{}, 2, 3, 1],
  [{}, 64, 1, 8],
  [{ LOCAL_WORLD_SIZE: '4' }, 8, 1, 2],
  [{ LOCAL_WORLD_SIZE: '4' }, 8, 2, 2],
  [{ LOCAL_WORLD_SIZE: '' }, 8, 2, 4],
  [{ LOCAL_WORLD_SIZE: 'many' }, 8, 2, 4],
  [{ LOCAL_WORLD_SIZE: '0' }, 8, 2, 4],
  [{ GRADWIRE_THREADS: '3', LOCAL_WORLD_SIZE: '4' }, 8, 1, 3],
  [{ GRADWIRE_THREADS: '8' }, 2, 1, 8],
  [{ GRADWIRE_THREADS: '' }, 4, 1, 4],
])('with %j on %d cores for %d processes: %d', (env, cores, localProcesses, count) => {
  expect(threadCount({ env, cores, localProcesses })).toBe(count);
});

test.each(['0', '9', '-1', '2.0', 'two', ' 2', '1e1', '10'])(
  "GRADWIRE_THREADS='%s' is refused",
  (GRADWIRE_THREADS) => {
    expect(() => askedThreads({ GRADWIRE_THREADS })).toThrow(
      /^invalid_argument: GRADWIRE_THREADS is '.*', expected a whole number from 1 to 8,/,
    );
  },
);

test('the processes of a host never ask for more threads than it has cores, unless each has one', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 256 }), fc.integer({ min: 1, max: 64 }), (cores, n) => {
      const count = threadCount({ env: {}, cores, localProcesses: n });
      expect(count).toBeGreaterThanOrEqual(1);
      expect(count === 1 || count * n <= cores).toBe(true);
    }),
    runs(100),
  );
});
