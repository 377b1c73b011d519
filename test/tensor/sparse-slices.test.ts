import { beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  collectTensors,
  type EngineName,
  SparseSlices,
  startEngine,
  tf,
} from '../../tensor/index.ts';
import { expectNoLeak } from '../support/leaks.ts';
import { runs } from '../support/runs.ts';

function slices(rows: number[], values: number[][], shape: number[]): SparseSlices {
  const contents = tf.tensor2d(values, [rows.length, shape[1] ?? 0]);
  return new SparseSlices(tf.tensor1d(rows, 'int32'), contents, shape);
}

describe.each<EngineName>(['cpu', 'wasm'])('%s', (engine) => {
  beforeAll(async () => {
    await startEngine(engine);
  });

  test('rows stand where their numbers say; repeated ones add up', () =>
    expectNoLeak(() => {
      using sparse = slices(
        [3, 0, 3],
        [
          [1, 2],
          [3, 4],
          [10, 20],
        ],
        [5, 2],
      );
      const dense = sparse.toDense();
      expect(dense.arraySync()).toEqual([
        [3, 4],
        [0, 0],
        [0, 0],
        [11, 22],
        [0, 0],
      ]);
      expect(sparse.length).toBe(3);
      dense.dispose();
    }));

  test('rows of any rank, and none', () =>
    expectNoLeak(() => {
      using flat = new SparseSlices(tf.tensor1d([1], 'int32'), tf.tensor1d([7]), [3]);
      using cubes = new SparseSlices(tf.tensor1d([0], 'int32'), tf.ones([1, 2, 2]), [2, 2, 2]);
      using none = new SparseSlices(tf.tensor1d([], 'int32'), tf.zeros([0, 2]), [3, 2]);
      const dense = [flat, cubes, none].map((sparse) => sparse.toDense());
      expect(dense.map((t) => t.shape)).toEqual([[3], [2, 2, 2], [3, 2]]);
      expect(
        dense.map((t) => Array.from(t.dataSync<'float32'>()).reduce((a, b) => a + b, 0)),
      ).toEqual([7, 4, 0]);
      tf.dispose(dense);
    }));

  test('nothing coalesces to nothing', () =>
    expectNoLeak(async () => {
      using none = slices([], [], [3, 2]);
      using coalesced = await none.coalesce();
      expect(coalesced.length).toBe(0);
      expect(coalesced.values.shape).toEqual([0, 2]);
    }));

  test('adding and coalescing keep the dense tensor', async () => {
    const row = fc.tuple(
      fc.nat(5),
      fc.integer({ min: -9, max: 9 }),
      fc.integer({ min: -9, max: 9 }),
    );
    const rows = fc.array(row, { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(rows, rows, async (left, right) =>
        expectNoLeak(async () => {
          const [a, b] = [left, right].map((list) =>
            slices(
              list.map(([i]) => i),
              list.map(([, ...values]) => values),
              [6, 2],
            ),
          ) as [SparseSlices, SparseSlices];
          const sum = a.add(b);
          const unique = await sum.coalesce();
          const indices = [...unique.indices.dataSync()];
          expect(indices).toEqual([...new Set([...left, ...right].map(([i]) => i))].sort());
          const expected = tf.tidy(() => tf.add(a.toDense(), b.toDense()).arraySync());
          const found = tf.tidy(() => [sum, unique].map((sparse) => sparse.toDense().arraySync()));
          expect(found).toEqual([expected, expected]);
          for (const sparse of [a, b, sum, unique]) sparse.dispose();
        }),
      ),
      runs(20),
    );
  });

  test('gradients reach the values', () =>
    expectNoLeak(() => {
      const indices = tf.tensor1d([2, 0], 'int32');
      const values = tf.tensor2d([[1], [2]]);
      const weights = tf.tensor2d([[5], [6], [7]]);
      const grad = tf.grad((v: tf.Tensor) =>
        tf.sum(tf.mul(new SparseSlices(indices, v, [3, 1]).toDense(), weights)),
      )(values);
      expect(grad.arraySync()).toEqual([[7], [5]]);
      tf.dispose([indices, values, weights, grad]);
    }));

  test('its tensors are found as those of a record', () =>
    expectNoLeak(() => {
      using sparse = slices([0], [[1]], [1, 1]);
      expect(collectTensors([{ sparse }])).toEqual([sparse.indices, sparse.values]);
    }));

  test('what does not fit is refused', () =>
    expectNoLeak(() => {
      const [i, v] = [tf.tensor1d([0, 2], 'int32'), tf.ones([2, 3])];
      const floats = tf.tensor1d([0, 2]);
      const table = tf.zeros([2, 1], 'int32');
      const negative = tf.tensor1d([0, -1], 'int32');
      const cases: [unknown, unknown, unknown, RegExp][] = [
        [floats, v, [3, 3], /the indices are float32 of shape \[2\]/],
        [table, v, [3, 3], /the indices are int32 of shape \[2,1\]/],
        [i, v, [3, 4], /the values have shape \[2,3\] where \[2,4\] is needed/],
        [i, v, [3], /where \[2\] is needed/],
        [i, v, [2, 3], /row 2 is beyond the 2 rows/],
        [negative, v, [3, 3], /row -1 is beyond/],
        [i, v, [], /a list of at least one size/],
        [i, v, [3, -3], /a list of at least one size/],
        [i, v, [1.5, 3], /a list of at least one size/],
        [i, v, 'x', /a list of at least one size/],
        [[0, 2], v, [3, 3], /are tensors/],
        [i, undefined, [3, 3], /are tensors/],
      ];
      for (const [indices, values, shape, message] of cases) {
        const make = (): unknown =>
          new SparseSlices(indices as never, values as never, shape as never);
        expect(make).toThrow(message);
        expect(make).toThrow(/^invalid_argument/);
      }
      const [a, b] = [new SparseSlices(i, v, [3, 3]), new SparseSlices(i, v, [4, 3])];
      expect(() => a.add(b)).toThrow(
        /^invalid_argument: rows of \[3,3\] cannot be added to rows of \[4,3\]/,
      );
      tf.dispose([i, v, floats, table, negative]);
      expect(() => new SparseSlices(i, v, [3, 3])).toThrow(/^tensor_freed/);
    }));
});
