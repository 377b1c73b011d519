import { expect, test } from '@jest/globals';
import { parseRunOptions } from '../../cli/run-options.ts';

const S = '--standalone';

test('defaults are one process and no result rank', () => {
  expect(parseRunOptions([S, 'a.js'])).toEqual({
    processCount: 1,
    resultRank: undefined,
    logDir: undefined,
    script: 'a.js',
    scriptArgs: [],
  });
});

test.each([
  [['-n', '4']],
  [['-n4']],
  [['--nproc-per-node', '4']],
  [['--nproc-per-node=4']],
  [['--nproc_per_node=4']],
])('%j means four processes', (flags) => {
  expect(parseRunOptions([S, ...flags, 'a.js'])).toMatchObject({ processCount: 4 });
});

test.each([[['--log-dir', 'a/b']], [['--log-dir=a/b']], [['--log_dir', 'a/b']]])(
  '%j means logs in a/b',
  (flags) => {
    expect(parseRunOptions([S, ...flags, 'a.js'])).toMatchObject({ logDir: 'a/b', script: 'a.js' });
  },
);

test('everything after the script is the script’s', () => {
  const args = ['-n', '2', '--help', '--', '--unknown', '--result-rank'];
  expect(parseRunOptions([S, 'a.js', ...args])).toMatchObject({
    processCount: 1,
    script: 'a.js',
    scriptArgs: args,
  });
  expect(parseRunOptions([S, '--', '-n', ...args])).toMatchObject({
    script: '-n',
    scriptArgs: args,
  });
});

test.each([
  [['a.js'], /--standalone/],
  [[S], /no script/],
  [[S, '--'], /no script/],
  [[S, '-n', '0', 'a.js'], /-n takes a whole number ≥ 1, not '0'/],
  [[S, '-n', 'two', 'a.js'], /not 'two'/],
  [[S, '-n', '1.5', 'a.js'], /not '1.5'/],
  [[S, '-n', 'gpu', 'a.js'], /not 'gpu'/],
  [[S, '--log-dir=', 'a.js'], /--log-dir takes the name of a folder/],
  [[S, '--log-dir'], /--log-dir takes the name of a folder/],
  [[S, '--nproc-per-node=', 'a.js'], /--nproc-per-node takes/],
  [[S, '--result-rank', '-1', 'a.js'], /--result-rank/],
  [[S, '-n', '2', '--result-rank', '2', 'a.js'], /ranks 0 to 1/],
  [[S, '--nnodes', '2', 'a.js'], /unknown option --nnodes/],
  [[S, '-x', 'a.js'], /unknown option -x/],
])('%j is refused', (args, message) => {
  expect(() => parseRunOptions(args)).toThrow(message);
});

test('help wins', () => {
  expect(parseRunOptions(['-n', '2', '--help'])).toBe('help');
});
