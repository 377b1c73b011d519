/** Progress lines: the protocol of a terminal, and few plain lines elsewhere. */
import { afterEach, expect, test } from '@jest/globals';
import { BYTES, Progress, type ProgressOptions } from '../../examples/support/progress.ts';

const VARIABLE = 'GRADWIRE_TTY';

/** A stream that remembers, and a clock that a test moves. */
function setUp(options: Partial<ProgressOptions> & { isTTY?: boolean } = {}) {
  const written: string[] = [];
  const clock = { ms: 1000 };
  const { isTTY = false, ...rest } = options;
  const progress = new Progress({
    label: 'trainer1',
    total: 100,
    stream: { isTTY, write: (text: string) => written.push(text) },
    now: () => clock.ms,
    ...rest,
  });
  return { progress, written, clock };
}

afterEach(() => {
  delete process.env[VARIABLE];
});

test('on a terminal one line rewrites itself, and the last one stays', () => {
  const { progress, written, clock } = setUp({ isTTY: true });
  progress.update(0);
  clock.ms += 500;
  progress.update(9, { loss: 2.31259, rate: 18.04 });
  clock.ms += 500;
  progress.update(10, { loss: 2.1 });
  progress.end();
  expect(written).toEqual([
    '\rtrainer1 ░░░░░░░░░░░░░░░░░░░░ 0/100\r',
    '\rtrainer1 ██░░░░░░░░░░░░░░░░░░ 9/100  loss 2.3126  18.0 it/s\r',
    '\rtrainer1 ██░░░░░░░░░░░░░░░░░░ 10/100  loss 2.1000  10.0 it/s\r',
    '\rtrainer1 ██░░░░░░░░░░░░░░░░░░ 10/100  loss 2.1000  10.0 it/s\n',
  ]);
});

test('blanks cover what a longer line left', () => {
  const { progress, written, clock } = setUp({ isTTY: true });
  clock.ms += 100;
  progress.update(5, { loss: 1, rate: 1000 });
  clock.ms += 100;
  progress.update(6, { rate: 1 });
  expect(written[1]).toMatch(/^\rtrainer1 \S+ 6\/100 {2}1\.0 it\/s +\r$/);
  expect(written[1]).toHaveLength(written[0]?.length ?? 0);
});

test('a terminal sees ten lines a second at most', () => {
  const { progress, written, clock } = setUp({ isTTY: true, total: 1000 });
  for (let step = 1; step <= 1000; step++) {
    clock.ms += 1;
    progress.update(step);
  }
  expect(written).toHaveLength(10);
});

test('GRADWIRE_TTY=1 makes a pipe a terminal, the option decides before both', () => {
  process.env[VARIABLE] = '1';
  const piped = setUp();
  piped.progress.update(1);
  expect(piped.written[0]).toMatch(/^\r/);
  const plain = setUp({ isTTY: true, terminal: false });
  plain.progress.update(50);
  expect(plain.written[0]).toMatch(/^trainer1 50\/100.*\n$/);
});

test('elsewhere a plain line comes for each tenth of the way', () => {
  const { progress, written, clock } = setUp();
  for (let step = 1; step <= 100; step++) {
    clock.ms += 10;
    progress.update(step, { loss: 1 / step });
  }
  progress.end();
  expect(written).toHaveLength(10);
  expect(written[0]).toBe('trainer1 10/100  loss 0.1000  100.0 it/s\n');
  expect(written[9]).toBe('trainer1 100/100  loss 0.0100  100.0 it/s\n');
});

test('elsewhere a slow loop says something every five seconds', () => {
  const { progress, written, clock } = setUp();
  for (let step = 1; step <= 6; step++) {
    clock.ms += 2500;
    progress.update(step);
  }
  expect(written.map((line) => line.split('  ')[0])).toEqual([
    'trainer1 2/100',
    'trainer1 4/100',
    'trainer1 6/100',
  ]);
});

test('the end says where a loop stopped, once, and nothing if it never began', () => {
  const stopped = setUp();
  stopped.clock.ms += 100;
  stopped.progress.update(3);
  stopped.progress.end();
  stopped.progress.end();
  stopped.progress.update(99);
  expect(stopped.written).toEqual(['trainer1 3/100  30.0 it/s\n']);
  for (const isTTY of [true, false]) {
    const unused = setUp({ isTTY });
    unused.progress.end();
    expect(unused.written).toEqual([]);
  }
});

test('bytes are counted in megabytes, and what was there before does not make the rate', () => {
  const { progress, written, clock } = setUp({ total: 9_900_000, from: 4_000_000, unit: BYTES });
  clock.ms += 500;
  progress.update(5_000_000);
  clock.ms += 500;
  progress.update(9_900_000);
  progress.end();
  expect(written).toEqual(['trainer1 5.0/9.9 MB  2.0 MB/s\n', 'trainer1 9.9/9.9 MB  5.9 MB/s\n']);
});

test('a total that is not known is not shown, a small one is', () => {
  const endless = setUp({ total: Number.POSITIVE_INFINITY, unit: BYTES, isTTY: true });
  endless.clock.ms += 1000;
  endless.progress.update(1_500_000);
  expect(endless.written).toEqual(['\rtrainer1 ░░░░░░░░░░░░░░░░░░░░ 1.5 MB  1.5 MB/s\r']);
  const small = setUp({ total: 4542, unit: BYTES });
  small.clock.ms += 1000;
  small.progress.update(4542);
  expect(small.written).toEqual(['trainer1 0.005/0.005 MB  0.005 MB/s\n']);
});

test('plain lines can be fewer', () => {
  const { progress, written } = setUp({ lines: 4 });
  for (let step = 1; step <= 100; step++) progress.update(step);
  expect(written).toHaveLength(4);
});
