import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { failureReport, orderFailures } from '../../cli/failures.ts';
import type { RankEnd } from '../../cli/launch.ts';

function end(rank: number, fields: Partial<RankEnd> = {}): RankEnd {
  return {
    rank,
    pid: 100 + rank,
    code: 1,
    signal: null,
    seenAtMs: 1000,
    saidAtMs: undefined,
    workers: [],
    error: undefined,
    ...fields,
  };
}
const killed = { code: null, signal: 'SIGKILL' } as const;

function order(...ends: RankEnd[]): number[] | undefined {
  const failures = orderFailures(ends);
  return failures && [failures.first, ...failures.later].map(({ rank }) => rank);
}

test('no failure, no report', () => {
  expect(order()).toBeUndefined();
});

test('who is killed goes before who failed at about the same time', () => {
  expect(order(end(0, { saidAtMs: 990 }), end(1, { ...killed, seenAtMs: 1005 }))).toEqual([1, 0]);
  expect(order(end(0), end(1, { ...killed, seenAtMs: 2600 }))).toEqual([0, 1]);
  const startError = 'spawn EAGAIN';
  expect(order(end(0), end(1, { code: null, startError, seenAtMs: 1100 }))).toEqual([1, 0]);
});

test('failures go by the time that they say, else by the time when they were seen', () => {
  const ends = [
    end(0, { seenAtMs: 5 }),
    end(1, { saidAtMs: 3, seenAtMs: 9 }),
    end(2, { seenAtMs: 4 }),
  ];
  expect(order(...ends)).toEqual([1, 2, 0]);
});

test('the order in which ends were seen makes no difference', () => {
  const ends = [end(0, { saidAtMs: 1 }), end(1, killed), end(2, { saidAtMs: 7 }), end(3)];
  const whole = fc.shuffledSubarray(ends, { minLength: ends.length });
  fc.assert(fc.property(whole, (shuffled) => expect(order(...shuffled)).toEqual(order(...ends))));
});

const context = {
  host: 'here',
  tailOf: () => ({ lines: [], stream: 'stderr' as const, isOnScreen: false }),
  logOf: () => undefined,
  running: [],
};

test('the report tells the first failure in full and the others in a line each', () => {
  const error = { atMs: 0, text: 'Error: a\nb', peer: 'ps', remoteStack: 'E: x\n    at y' };
  const first = end(1, { saidAtMs: 0, workers: ['trainer1'], error });
  const later = [
    end(0, { ...killed, workers: ['ps'] }),
    end(2, { error: { atMs: 0, text: 'Error: one\ntwo' } }),
    end(3),
  ];
  const tails: Record<number, string[]> = {
    1: ['c', '  d'],
    3: ['unavailable: ps is gone', '    at z', '}', '', 'Node.js v20.20.2'],
  };
  const report = failureReport(
    { first, later },
    {
      ...context,
      tailOf: (rank) => ({
        lines: tails[rank] ?? [],
        stream: 'stderr' as const,
        isOnScreen: false,
      }),
      logOf: (rank) => `/logs/${rank}`,
      running: [4, 5],
    },
  );
  expect(report.split('\n')).toEqual([
    'gradwire: rank 1 failed with exit code 1',
    '    worker trainer1, pid 101 on here, 1970-01-01T00:00:00.000Z',
    '    error: Error: a',
    '    b',
    '    stack on ps:',
    '        E: x',
    '            at y',
    '    last lines on stderr:',
    '        c',
    '          d',
    '    log: /logs/1',
    'gradwire: rank 0 (ps) then was killed by SIGKILL',
    'gradwire: rank 2 then failed with exit code 1: Error: one',
    'gradwire: rank 3 then failed with exit code 1: unavailable: ps is gone',
    'gradwire: stopping ranks 4, 5',
  ]);
});

test('a rank that never started has no pid', () => {
  const first = end(0, { pid: undefined, code: null, startError: 'spawn EAGAIN', seenAtMs: 0 });
  expect(failureReport({ first, later: [] }, context)).toBe(
    'gradwire: rank 0 could not be started: spawn EAGAIN\n    on here, 1970-01-01T00:00:00.000Z',
  );
});
