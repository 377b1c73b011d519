/** What users say of single tensors: that gradients are wanted, where passes start, hooks, what is not a number. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { autograd, tf } from '../../index.ts';
import { randomTensor, randomVariable, relativeDifference } from '../support/numbers.ts';
import { at, CARRIERS, clean, startTeam, type Team } from './support.ts';

describe.each(CARRIERS)('over %s', (carrier) => {
  let team: Team;
  let a: tf.Variable;
  let b: tf.Variable;
  let x: tf.Tensor;
  beforeAll(async () => {
    team = await startTeam(2, carrier);
    [a, b] = [randomVariable([3], 1), randomVariable([3], 2)];
    x = randomTensor([3], 3);
  });
  afterAll(async () => {
    tf.dispose([a, b, x]);
    await team.stop();
  });
  const inContext = (fn: (id: autograd.ContextId) => Promise<void>): Promise<void> =>
    clean(team, () => team.as(0, () => autograd.context(fn)));
  const times = (y: tf.Tensor): Promise<tf.Tensor> => at(1, (z: tf.Tensor) => tf.mul(z, b), y);
  const gradientOf = (id: autograd.ContextId, of: tf.Tensor): number[] => [
    ...(autograd.getGradients(id).get(of)?.dataSync() ?? []),
  ];
  const values = (t: tf.Tensor): number[] => [...t.dataSync()];

  test('requiresGrad: plain tensors made outside, inside and at a callee', () =>
    inContext(async (id) => {
      const inside = autograd.requiresGrad(tf.tensor1d([1, 2, 3]));
      autograd.requiresGrad(x);
      expect([x, inside, b, tf.scalar(1)].map(autograd.needsGrad)).toEqual([
        true,
        true,
        true,
        false,
      ]);
      const own = tf.keep(tf.scalar(2));
      const theirs = async (y: tf.Tensor) => {
        autograd.requiresGrad(own);
        const seen = autograd.needsGrad(y);
        return { result: tf.mul(y, own), seen };
      };
      const { result, seen } = await at(1, theirs, tf.mul(x, inside));
      expect(seen).toBe(true);
      await autograd.backward(id, [tf.sum(result)]);
      expect(gradientOf(id, x)).toEqual([2, 4, 6]);
      expect(gradientOf(id, inside)).toEqual(values(x).map((v) => Math.fround(2 * v)));
      expect(await at(1, () => autograd.getGradients(id).has(own))).toBe(true);
      autograd.requiresGrad(x, false);
      own.dispose();
    }));

  test('requiresGrad: what it refuses, and that it can be taken back', () =>
    inContext(async () => {
      const whole = tf.scalar(1, 'int32');
      expect(() => autograd.requiresGrad(whole)).toThrow(
        expect.objectContaining({ code: 'no_gradient' }),
      );
      for (const given of [tf.mul(a, 2), await times(x)]) {
        expect(() => autograd.requiresGrad(given)).toThrow(
          expect.objectContaining({ code: 'invalid_argument' }),
        );
      }
      autograd.requiresGrad(x);
      autograd.requiresGrad(x, false);
      expect(autograd.needsGrad(x)).toBe(false);
      expect(autograd.noGrad(() => autograd.needsGrad(a))).toBe(true);
    }));

  test('roots that are no scalars start from given gradients, on any worker', () =>
    inContext(async (id) => {
      const far = await times(a);
      const start = tf.tensor1d([1, 10, 100]);
      await autograd.backward(id, [far, tf.sum(a)], { gradients: [start, tf.scalar(5)] });
      const [b0, b1, b2] = values(b) as [number, number, number];
      const expected = tf.tensor1d([b0 + 5, 10 * b1 + 5, 100 * b2 + 5]);
      const found = autograd.getGradients(id).get(a) as tf.Tensor;
      expect(relativeDifference(found, expected)).toBeLessThan(1e-6);
      expect(start.isDisposed).toBe(false);
      for (const gradients of [[], [tf.scalar(1)], [tf.ones([3], 'int32')], [3]] as tf.Tensor[][]) {
        const refused = autograd.backward(id, [tf.mul(a, 2)], { gradients });
        await expect(refused).rejects.toMatchObject({ code: 'invalid_argument' });
      }
    }));

  test('hooks see what each pass brings, in order, and may replace it', () =>
    inContext(async (id) => {
      const seen: number[][] = [];
      const note = autograd.registerHook(a, (g) => {
        seen.push(values(g));
      });
      using double = autograd.registerHook(a, (g) => tf.mul(g, 2));
      using same = autograd.registerHook(a, (g) => g);
      await autograd.backward(id, [tf.sum(tf.mul(a, 3)), tf.sum(await times(a))], {
        retainGraph: true,
      });
      const once = values(b).map((v) => Math.fround(3 + v));
      expect(seen).toEqual([once]);
      expect(gradientOf(id, a)).toEqual(once.map((v) => 2 * v));
      double.remove();
      note.remove();
      note.remove();
      await autograd.backward(id, [tf.sum(tf.mul(a, 1))]);
      expect(seen).toHaveLength(1);
      expect(gradientOf(id, a)).toEqual(once.map((v) => Math.fround(2 * v + 1)));
      expect(same).toBeDefined();
    }));

  test('a hook that fails, or returns what does not fit, fails the pass; one after adding up sees all', () =>
    inContext(async (id) => {
      const seen: unknown[] = [];
      using after = autograd.registerPostAccumulateHook(b, (of, context) =>
        seen.push([of, context]),
      );
      const far = tf.sum(await times(a));
      for (const wrong of [
        () => tf.scalar(1),
        () => 5 as never,
        () => {
          throw new Error('hook');
        },
      ]) {
        using failing = autograd.registerHook(b, wrong);
        const pass = autograd.backward(id, [far], { retainGraph: true });
        await expect(pass).rejects.toMatchObject({ code: 'backward_failed', peer: 'w1' });
        expect([failing, seen.length, autograd.getGradients(id).size]).toEqual([failing, 0, 0]);
      }
      await autograd.backward(id, [far], { retainGraph: true });
      await autograd.backward(id, [far]);
      expect(seen).toEqual([
        [b, id],
        [b, id],
      ]);
      expect(after).toBeDefined();
    }));

  test('detectAnomaly names the worker and the operation of the first NaN, either way', () =>
    inContext(async (id) => {
      const options = { detectAnomaly: true, retainGraph: true };
      const zero = tf.sub(a, a);
      // The gradient of sqrt at 0 times that of the square, which is 0.
      const backwards = await at(1, (y: tf.Tensor) => tf.sqrt(tf.square(y)), zero);
      await expect(autograd.backward(id, [tf.sum(backwards)], options)).rejects.toMatchObject({
        code: 'backward_failed',
        peer: 'w1',
        message: expect.stringMatching(/NaN first appeared in the gradient of (Square|Sqrt)/),
      });
      const forwards = await at(1, (y: tf.Tensor) => tf.log(tf.sub(y, 5)), zero);
      await expect(
        autograd.backward(id, [tf.sum(tf.mul(forwards, a))], options),
      ).rejects.toMatchObject({
        code: 'backward_failed',
        peer: 'w1',
        message: expect.stringContaining('in what Log made'),
      });
      await autograd.backward(id, [tf.sum(await times(a))], options);
      expect(gradientOf(id, a)).toEqual(values(b));
    }));

  test('higherOrder: gradients through tf.grad, here and at a callee', () =>
    clean(team, () =>
      team.as(0, () =>
        autograd.context(
          async (id) => {
            const penalty = (y: tf.Tensor): tf.Tensor => tf.sum(tf.square(tf.grad(tf.tanh)(y)));
            const there = await at(1, penalty, tf.mul(a, 1));
            await autograd.backward(id, [there, penalty(b)]);
            const second = (v: number): number => -4 * Math.tanh(v) * (1 - Math.tanh(v) ** 2) ** 2;
            for (const of of [a, b]) {
              const found = autograd.getGradients(id).get(of) as tf.Tensor;
              const expected = tf.tensor1d(values(of).map(second));
              expect(relativeDifference(found, expected)).toBeLessThan(1e-5);
            }
          },
          { higherOrder: true },
        ),
      ),
    ));
});
