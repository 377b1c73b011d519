/** Gradients of look-ups as rows: when they stay sparse, how they add up, how they travel. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { autograd, SparseSlices, tf } from '../../index.ts';
import { referenceGradients } from '../support/gradients.ts';
import { randomVariable, relativeDifference } from '../support/numbers.ts';
import { at, CARRIERS, clean, startTeam, type Team } from './support.ts';

const ROWS = [3, 1, 3];

function lookUp(table: tf.Tensor, rows: readonly number[] = ROWS): tf.Tensor {
  return tf.gather(table, tf.tensor1d([...rows], 'int32'));
}

describe.each(CARRIERS)('over %s', (carrier) => {
  let team: Team;
  let table: tf.Variable;
  let other: tf.Variable;
  beforeAll(async () => {
    team = await startTeam(3, carrier);
    table = autograd.sparseGradient(randomVariable([20, 4], 1));
    other = randomVariable([20, 4], 2);
  });
  afterAll(async () => {
    tf.dispose([table, other]);
    await team.stop();
  });
  const inContext = (fn: (id: autograd.ContextId) => Promise<void>): Promise<void> =>
    clean(team, () => team.as(0, () => autograd.context(fn)));

  /** What is accumulated for the table, checked against one process; the number of its rows, 0 if dense. */
  function rowsOf(id: autograd.ContextId, reference: () => tf.Tensor): number {
    const sparse = autograd.getGradients(id, { sparse: true }).get(table);
    const dense = autograd.getGradients(id).get(table) as tf.Tensor;
    const expected = referenceGradients(reference, [table]).get(table) as tf.Tensor;
    expect(relativeDifference(dense, expected)).toBeLessThan(1e-6);
    expected.dispose();
    return sparse instanceof SparseSlices ? sparse.length : 0;
  }

  test('rows of one look-up, and of several passes, stay rows', () =>
    inContext(async (id) => {
      const loss = tf.sum(tf.square(lookUp(table)));
      await autograd.backward(id, [loss], { retainGraph: true });
      expect(rowsOf(id, () => tf.sum(tf.square(lookUp(table))))).toBe(3);
      await autograd.backward(id, [loss]);
      await autograd.backward(id, [tf.sum(lookUp(table, [0]))]);
      const all = (): tf.Tensor =>
        tf.add(tf.mul(2, tf.sum(tf.square(lookUp(table)))), tf.sum(lookUp(table, [0])));
      expect(rowsOf(id, all)).toBe(7);
    }));

  test('many passes hold no more rows than the table has', () =>
    inContext(async (id) => {
      for (let i = 0; i < 30; i++) await autograd.backward(id, [tf.sum(lookUp(table, [i % 20]))]);
      const sparse = autograd.getGradients(id, { sparse: true }).get(table) as SparseSlices;
      expect(sparse).toBeInstanceOf(SparseSlices);
      expect(sparse.length).toBeLessThanOrEqual(20);
      const sum = tf.sum(autograd.getGradients(id).get(table) as tf.Tensor);
      expect(sum.dataSync()[0]).toBe(120);
    }));

  test('a dense part makes the whole dense, in a pass and over several; another axis is dense', () =>
    inContext(async (id) => {
      await autograd.backward(id, [tf.add(tf.sum(lookUp(table)), tf.sum(tf.square(table)))]);
      const both = (): tf.Tensor => tf.add(tf.sum(lookUp(table)), tf.sum(tf.square(table)));
      expect(rowsOf(id, both)).toBe(0);
      await autograd.backward(id, [tf.sum(lookUp(table))]);
      expect(rowsOf(id, () => tf.add(both(), tf.sum(lookUp(table))))).toBe(0);
      await autograd.context(async (inner) => {
        const column = (): tf.Tensor => tf.sum(tf.gather(table, tf.tensor1d([1], 'int32'), 1));
        await autograd.backward(inner, [column()]);
        expect(rowsOf(inner, column)).toBe(0);
      });
    }));

  test('without sparseGradient, or with hooks, gradients are dense', () =>
    inContext(async (id) => {
      using hook = autograd.registerHook(table, (g) => tf.mul(g, 1));
      await autograd.backward(id, [tf.sum(tf.add(lookUp(table), lookUp(other)))]);
      expect(rowsOf(id, () => tf.sum(lookUp(table)))).toBe(0);
      const dense = autograd.getGradients(id, { sparse: true }).get(other);
      expect([dense, hook]).toEqual([expect.any(tf.Tensor), hook]);
    }));

  test('over the wire: the table at the callee, sent as an argument, and through a third worker', () =>
    inContext(async (id) => {
      const there = await at(1, () => lookUp(table));
      const sent = await at(1, (t: tf.Tensor) => lookUp(t, [5]), table as tf.Tensor);
      const through = await at(
        1,
        (t: tf.Tensor) => at(2, (u: tf.Tensor) => lookUp(u, [7, 8]), t),
        table as tf.Tensor,
      );
      await autograd.backward(id, [tf.sum(tf.square(tf.concat([there, sent, through])))]);
      const whole = (rows: readonly number[]) => () => tf.sum(tf.square(lookUp(table, rows)));
      expect(rowsOf(id, whole([5, 7, 8]))).toBe(3);
      await at(1, () => expect(rowsOf(id, whole(ROWS))).toBe(3));
    }));

  test('an embedding layer', () =>
    inContext(async (id) => {
      const layer = tf.layers.embedding({ inputDim: 20, outputDim: 4 });
      layer.build([null, 2]);
      const variable = layer.trainableWeights[0]?.read() as tf.Variable;
      autograd.sparseGradient(variable);
      const words = tf.tensor2d(
        [
          [1, 2],
          [2, 9],
        ],
        [2, 2],
        'int32',
      );
      await autograd.backward(id, [tf.sum(tf.square(layer.apply(words) as tf.Tensor))]);
      const gradient = autograd.getGradients(id, { sparse: true }).get(variable) as SparseSlices;
      expect([...gradient.indices.dataSync()]).toEqual([1, 2, 2, 9]);
      expect(gradient.denseShape).toEqual([20, 4]);
      variable.dispose();
    }));

  test('refused for what cannot have rows', () => {
    for (const given of [tf.scalar(1), tf.tensor1d([1], 'int32'), 5 as never]) {
      expect(() => autograd.sparseGradient(given)).toThrow(
        expect.objectContaining({ code: 'invalid_argument' }),
      );
      tf.dispose(given);
    }
  });
});
