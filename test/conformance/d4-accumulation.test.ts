/** How gradients add up, and hooks. The names are those of the peer's own tests. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { autograd, tf } from '../../index.ts';
import { at, CARRIERS, clean, expectGradients, startTeam, type Team } from '../autograd/support.ts';
import { referenceGradients } from '../support/gradients.ts';
import { randomVariable } from '../support/numbers.ts';

describe.each(CARRIERS)('over %s', (carrier) => {
  let team: Team;
  let a: tf.Variable;
  let b: tf.Variable;
  beforeAll(async () => {
    team = await startTeam(3, carrier);
    [a, b] = [randomVariable([3], 1), randomVariable([3], 2)];
  });
  afterAll(async () => {
    tf.dispose([a, b]);
    await team.stop();
  });
  const inContext = (fn: (id: autograd.ContextId) => Promise<void>): Promise<void> =>
    clean(team, () => team.as(0, () => autograd.context(fn)));
  const multiply = (y: tf.Tensor): tf.Tensor => tf.mul(tf.square(y), b);
  const local = (factor: number) =>
    referenceGradients(() => tf.sum(tf.mul(multiply(a), factor)), [a, b]);

  test.each<[string, () => Promise<tf.Tensor>]>([
    ['test_backward_accumulate_grads', () => at(1, multiply, a as tf.Tensor)],
    [
      'test_nested_backward_accumulate_grads',
      () => at(1, (y: tf.Tensor) => at(2, multiply, y), a as tf.Tensor),
    ],
  ])('%s: two passes give twice the gradient', (_, call) =>
    inContext(async (id) => {
      const loss = tf.sum(await call());
      await autograd.backward(id, [loss], { retainGraph: true });
      expectGradients(team, id, local(1));
      await autograd.backward(id, [loss]);
      expectGradients(team, id, local(2));
    }),
  );

  test('test_backward_verify_hooks: a hook that doubles, of a leaf here and of one elsewhere', () =>
    inContext(async (id) => {
      using here = autograd.registerHook(a, (g) => tf.mul(g, 2));
      using there = autograd.registerHook(b, (g) => tf.mul(g, 2));
      await autograd.backward(id, [tf.sum(await at(1, multiply, a as tf.Tensor))]);
      expectGradients(team, id, local(2));
      expect([here, there]).toHaveLength(2);
    }));

  test('test_post_hooks: run when the gradient is there, each as often as it was registered', () =>
    inContext(async (id) => {
      let count = 0;
      const add = (n: number) => (of: tf.Tensor, context: string) => {
        if (of === a && context === id && autograd.getGradients(id).has(a)) count += n;
      };
      const two = add(2);
      const handles = [add(1), two, two].map((hook) =>
        autograd.registerPostAccumulateHook(a, hook),
      );
      await autograd.backward(id, [tf.sum(await at(1, multiply, a as tf.Tensor))]);
      expect([count, autograd.getGradients(id).size]).toEqual([5, 1]);
      for (const handle of handles) handle.remove();
      await autograd.backward(id, [tf.sum(tf.square(a))]);
      expect(count).toBe(5);
    }));
});
