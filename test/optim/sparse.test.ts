/** Sparse gradients: which rows move, that repeated rows add up, and who refuses them. */
import { beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import * as optim from '../../optim/index.ts';
import { type EngineName, SparseSlices, startEngine, tf } from '../../tensor/index.ts';
import { expectNoLeak } from '../support/leaks.ts';
import { randomTensor } from '../support/numbers.ts';
import { runs } from '../support/runs.ts';

const { Adadelta, Adagrad, Adam, Adamax, AdamW, RMSprop, Rprop, SGD } = optim;
type Make = (parameters: readonly tf.Variable[]) => optim.Optimizer;

const BY_ROWS: readonly (readonly [string, Make])[] = [
  ['SGD', (p) => new SGD(p, { lr: 0.5 })],
  ['Adagrad', (p) => new Adagrad(p, { lr: 0.5 })],
  ['Adam', (p) => new Adam(p, { lr: 0.5 })],
];

const REFUSING: readonly (readonly [string, Make])[] = [
  ['SGD with weightDecay', (p) => new SGD(p, { lr: 0.5, weightDecay: 0.1 })],
  ['Adagrad with weightDecay', (p) => new Adagrad(p, { weightDecay: 0.1 })],
  ['Adam with weightDecay', (p) => new Adam(p, { weightDecay: 0.1 })],
  ['Adam with amsgrad', (p) => new Adam(p, { amsgrad: true })],
  ['AdamW', (p) => new AdamW(p)],
  ['Adadelta', (p) => new Adadelta(p)],
  ['Adamax', (p) => new Adamax(p)],
  ['RMSprop', (p) => new RMSprop(p)],
  ['Rprop', (p) => new Rprop(p)],
];

const invalid: unknown = expect.objectContaining({ code: 'invalid_argument' });

function variable(shape: number[]): tf.Variable {
  return tf.tidy(() => tf.variable(randomTensor(shape, 1)));
}

function slices(rows: readonly number[], values: tf.Tensor, shape: number[]): SparseSlices {
  return new SparseSlices(tf.tensor1d(Int32Array.from(rows), 'int32'), values, shape);
}

describe.each<EngineName>(['cpu', 'wasm'])('on engine %s', (engine) => {
  beforeAll(async () => {
    await startEngine(engine);
  });

  test.each(BY_ROWS)('%s: rows without a gradient keep every bit, of the state too', (_, make) =>
    expectNoLeak(async () => {
      const parameter = variable([6, 2]);
      const optimizer = make([parameter]);
      using all = slices([0, 1, 2, 3, 4, 5], randomTensor([6, 2], 2), [6, 2]);
      using some = slices([4, 1, 4], randomTensor([3, 2], 3), [6, 2]);
      optimizer.step(new Map([[parameter, all]]));
      const rowsOf = (values: ArrayLike<number>, rows: number[]): number[] =>
        rows.flatMap((row) => [values[2 * row] ?? NaN, values[2 * row + 1] ?? NaN]);
      const before = parameter.dataSync().slice();
      const { state } = await optimizer.stateDict();
      optimizer.step(new Map([[parameter, some]]));
      const after = parameter.dataSync();
      const [rest, moved] = [
        [0, 2, 3, 5],
        [1, 4],
      ];
      expect(rowsOf(after, rest)).toEqual(rowsOf(before, rest));
      for (const [i, value] of rowsOf(after, moved).entries()) {
        expect(value).not.toBe(rowsOf(before, moved)[i]);
      }
      const now = (await optimizer.stateDict()).state;
      for (const [name, { values }] of Object.entries(state[0]?.tensors ?? {})) {
        const later = now[0]?.tensors[name]?.values ?? [];
        expect(rowsOf(later, rest)).toEqual(rowsOf(values, rest));
      }
      optimizer.dispose();
      parameter.dispose();
    }),
  );

  test.each(BY_ROWS)('%s: repeated rows count as their sum, in any order', async (_, make) => {
    const row = fc.tuple(fc.nat(3), fc.integer({ min: -8, max: 8 }));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(row, { maxLength: 8 }), { maxLength: 3 }), (steps) =>
        expectNoLeak(async () => {
          const [repeated, summed] = [variable([4]), variable([4])];
          const [first, second] = [make([repeated]), make([summed])];
          for (const step of steps) {
            const numbers = step.map(([number]) => number);
            const contents = step.map(([, value]) => value);
            using gradient = slices(numbers, tf.tensor1d(contents, 'float32'), [4]);
            using sum = await gradient.coalesce();
            first.step(new Map([[repeated, gradient]]));
            second.step(new Map([[summed, sum]]));
          }
          expect(repeated.dataSync()).toEqual(summed.dataSync());
          expect(await first.stateDict()).toEqual(await second.stateDict());
          for (const each of [first, second, repeated, summed]) each.dispose();
        }),
      ),
      runs(30),
    );
  });

  test.each<[string, Make]>([
    ['SGD with momentum', (p) => new SGD(p, { lr: 0.5, momentum: 0.9, nesterov: true })],
    ['Adagrad', (p) => new Adagrad(p, { lr: 0.5, lrDecay: 0.1, maximize: true })],
  ])('%s: the same as a dense gradient of zeros elsewhere', (_, make) =>
    expectNoLeak(() => {
      const [a, b] = [variable([5, 2, 2]), variable([5, 2, 2])];
      const [first, second] = [make([a]), make([b])];
      for (const seed of [1, 2, 3]) {
        using gradient = slices([seed, 0], randomTensor([2, 2, 2], seed), [5, 2, 2]);
        const dense = gradient.toDense();
        first.step(new Map([[a, gradient]]));
        second.step(new Map([[b, dense]]));
        dense.dispose();
      }
      expect(a.dataSync()).toEqual(b.dataSync());
      for (const each of [first, second, a, b]) each.dispose();
    }),
  );

  test('Adam takes sparse and dense gradients in turns, by one state', () =>
    expectNoLeak(async () => {
      const parameter = variable([3]);
      const optimizer = new Adam([parameter]);
      using none = slices([], tf.tensor1d([], 'float32'), [3]);
      using one = slices([1], tf.tensor1d([1], 'float32'), [3]);
      const dense = tf.ones([3]);
      for (const gradient of [none, one, dense, one]) {
        optimizer.step(new Map<tf.Tensor, tf.Tensor | SparseSlices>([[parameter, gradient]]));
      }
      const { state } = await optimizer.stateDict();
      expect(state[0]?.step).toBe(4);
      expect(Object.keys(state[0]?.tensors ?? {})).toEqual(['expAvg', 'expAvgSq']);
      tf.dispose([parameter, dense]);
      optimizer.dispose();
    }));
});

test.each(REFUSING)('%s refuses a sparse gradient, and nothing is updated', (name, make) =>
  expectNoLeak(() => {
    const [parameter, other] = [variable([3, 2]), variable([3, 2])];
    const before = [parameter, other].map((p) => p.dataSync().slice());
    const optimizer = make([parameter, other]);
    using gradient = slices([1], tf.ones([1, 2]), [3, 2]);
    const dense = tf.ones([3, 2]);
    const step = (): void =>
      optimizer.step(
        new Map<tf.Tensor, tf.Tensor | SparseSlices>([
          [parameter, dense],
          [other, gradient],
        ]),
      );
    expect(step).toThrow(invalid);
    expect(step).toThrow(new RegExp(`${name.split(' ')[0]} takes no sparse gradient.*parameter 1`));
    expect([parameter, other].map((p) => p.dataSync())).toEqual(before);
    optimizer.dispose();
    tf.dispose([parameter, other, dense]);
  }),
);

test('a sparse gradient of another shape or dtype, or freed, is refused', () =>
  expectNoLeak(() => {
    const parameter = variable([3, 2]);
    const optimizer = new SGD([parameter], { lr: 1 });
    const bad = [
      slices([1], tf.ones([1, 2]), [4, 2]),
      slices([1], tf.ones([1]), [3]),
      slices([1], tf.ones([1, 2], 'int32'), [3, 2]),
    ];
    for (const gradient of bad) {
      expect(() => optimizer.step(new Map([[parameter, gradient]]))).toThrow(invalid);
      gradient.dispose();
    }
    const freed = slices([1], tf.ones([1, 2]), [3, 2]);
    freed.dispose();
    expect(() => optimizer.step(new Map([[parameter, freed]]))).toThrow(
      expect.objectContaining({ code: 'tensor_freed' }),
    );
    optimizer.dispose();
    parameter.dispose();
  }));
