/** Flags: both spellings, typed values, and one clear line for each mistake. */
import { expect, test } from '@jest/globals';
import { parseFlags, UsageError, usage } from '../../examples/support/args.ts';

const spec = {
  worldSize: { type: 'int', default: 3, min: 2, help: 'processes in all' },
  lr: { type: 'number', default: 0.03, min: 0, max: 10, help: 'learning rate' },
  data: { type: 'string', help: 'folder of MNIST' },
  engine: { type: 'string', default: 'auto', choices: ['auto', 'wasm', 'cpu'], help: 'engine' },
  shuffle: { type: 'boolean', default: true, help: 'shuffle each epoch' },
  quick: { type: 'boolean', help: 'fewer steps' },
} as const;

function message(...argv: string[]): string {
  try {
    parseFlags(spec, argv);
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return (error as UsageError).message;
  }
  throw new Error('nothing was thrown');
}

test('defaults, and undefined without one', () => {
  expect(parseFlags(spec, [])).toEqual({
    worldSize: 3,
    lr: 0.03,
    data: undefined,
    engine: 'auto',
    shuffle: true,
    quick: false,
    help: false,
  });
});

test('values have their types', () => {
  const flags = parseFlags(spec, []);
  const worldSize: number = flags.worldSize;
  const data: string | undefined = flags.data;
  const engine: 'auto' | 'wasm' | 'cpu' = flags.engine;
  const quick: boolean = flags.quick;
  // @ts-expect-error a flag without a default may be undefined
  const wrong: string = flags.data;
  // @ts-expect-error no such flag
  expect(flags.worldsize).toBeUndefined();
  expect([worldSize, data, engine, quick, wrong]).toHaveLength(5);
});

test.each([
  [['--world-size', '4']],
  [['--world_size', '4']],
  [['--world-size=4']],
  [['--world_size=4']],
])('%j', (argv) => {
  expect(parseFlags(spec, argv).worldSize).toBe(4);
});

test('numbers in all spellings, negative ones to be judged by their range', () => {
  for (const [text, value] of [
    ['1e-3', 0.001],
    ['.5', 0.5],
    ['+2.', 2],
  ] as const) {
    expect(parseFlags(spec, ['--lr', text]).lr).toBe(value);
  }
  expect(message('--lr', '-1')).toBe(
    "--lr is '-1', expected a number of at least 0 and at most 10",
  );
});

test('values keep their underscores and equal signs', () => {
  expect(parseFlags(spec, ['--data', 'my_data']).data).toBe('my_data');
  expect(parseFlags(spec, ['--data=/a_b=c']).data).toBe('/a_b=c');
});

test('booleans are set, and unset by --no-', () => {
  expect(parseFlags(spec, ['--quick', '--no-shuffle'])).toMatchObject({
    quick: true,
    shuffle: false,
  });
  expect(message('--quick=yes')).toBe("--quick takes no value, it is given 'yes'");
});

test('help is noticed, in both spellings', () => {
  expect(parseFlags(spec, ['-h']).help).toBe(true);
  expect(parseFlags(spec, ['--quick', '--help'])).toMatchObject({ help: true, quick: true });
});

test.each([
  [['--worldsize', '4'], 'unknown flag --worldsize: did you mean --world-size?'],
  [['--wrold-size=4'], 'unknown flag --wrold-size: did you mean --world-size?'],
  [['--world'], 'unknown flag --world: did you mean --world-size?'],
  [['--colour'], 'unknown flag --colour: see --help'],
  [['--no-data'], 'unknown flag --no-data: see --help'],
  [['-x'], 'unknown flag -x'],
  [['--world-size'], '--world-size needs a value'],
  [['--world-size='], '--world-size needs a value'],
  [['--data', '--quick'], '--data needs a value'],
  [['--world-size', 'two'], "--world-size is 'two', expected a whole number of at least 2"],
  [['--world-size', '1'], "--world-size is '1', expected a whole number of at least 2"],
  [['--world-size', '2.5'], "--world-size is '2.5', expected a whole number of at least 2"],
  [['--world-size', '0x10'], "--world-size is '0x10'"],
  [['--world_size', ' 4'], "--world-size is ' 4'"],
  [['--engine', 'gpu'], "--engine is 'gpu', expected auto or wasm or cpu"],
  [['--lr=1', '--lr=2'], '--lr is given twice'],
  [['train'], "unexpected argument 'train': only flags are taken"],
  [['--__proto__', '1'], 'unknown flag'],
  [['--constructor=1'], 'unknown flag --constructor'],
])('%j is refused', (argv, expected) => {
  expect(message(...argv)).toContain(expected);
  expect(message(...argv)).not.toContain('\n');
});

test('the help text has a line for each flag', () => {
  expect(usage(spec, { command: 'main.js', about: 'Trains a ConvNet.' })).toBe(
    [
      'usage: main.js [flags]',
      'Trains a ConvNet.',
      '',
      '  --world-size INT        processes in all (default 3)',
      '  --lr NUMBER             learning rate (default 0.03)',
      '  --data STRING           folder of MNIST',
      '  --engine auto|wasm|cpu  engine (default auto)',
      '  --shuffle               shuffle each epoch (default true)',
      '  --quick                 fewer steps',
      '  --help                  this text',
      '',
    ].join('\n'),
  );
});
