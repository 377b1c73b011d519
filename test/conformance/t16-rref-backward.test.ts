/** Backward from references, their owner's and others'. The names are those of the peer's own tests. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { autograd, rpc, tf } from '../../index.ts';
import {
  CARRIERS,
  clean,
  expectGradients,
  keptAt,
  startTeam,
  type Team,
} from '../autograd/support.ts';
import { referenceGradients } from '../support/gradients.ts';
import { randomVariable } from '../support/numbers.ts';

describe.each(CARRIERS)('over %s', (carrier) => {
  let team: Team;
  let a: tf.Variable;
  let b: tf.Variable;
  beforeAll(async () => {
    team = await startTeam(2, carrier);
    a = randomVariable([3], 1);
    b = randomVariable([3], 2);
  });
  afterAll(async () => {
    tf.dispose([a, b]);
    await team.stop();
  });
  const inContext = (fn: (id: autograd.ContextId) => Promise<void>): Promise<void> =>
    clean(team, () => team.as(0, () => autograd.context(fn)));
  const times = (factor: number) =>
    referenceGradients(() => tf.sum(tf.mul(tf.mul(a, b), factor)), [a, b]);

  test('test_owner_rref_backward: with a context, in one, and twice', () =>
    inContext(async (id) => {
      using rref = new rpc.RRef(tf.sum(tf.mul(a, b)));
      await rref.backward(id, { retainGraph: true });
      expectGradients(team, id, times(1));
      await rref.backward(undefined, { retainGraph: true });
      expectGradients(team, id, times(2));
      await rref.backward();
      expectGradients(team, id, times(3));
      await expect(rref.backward(id)).rejects.toMatchObject({ code: 'graph_freed' });
    }));

  test('test_owner_rref_backward: what has no gradient, no scalar, no tensor, no context', () =>
    inContext(async (id) => {
      using constant = new rpc.RRef(tf.scalar(1));
      using vector = new rpc.RRef(tf.mul(a, b));
      using text = new rpc.RRef('text');
      using scalar = new rpc.RRef(tf.sum(a));
      const nobody = '0.99' as autograd.ContextId;
      await expect(constant.backward(id)).rejects.toMatchObject({ code: 'no_gradient' });
      await expect(vector.backward(id)).rejects.toMatchObject({ code: 'invalid_argument' });
      await expect(text.backward(id)).rejects.toMatchObject({ code: 'invalid_argument' });
      await expect(scalar.backward(nobody)).rejects.toMatchObject({ code: 'unknown_context' });
      const worker = team.workers[0] as (typeof team.workers)[0];
      await autograd.noGrad(() =>
        worker.run(() =>
          expect(scalar.backward()).rejects.toMatchObject({ code: 'unknown_context' }),
        ),
      );
      expect(autograd.getGradients(id).size).toBe(0);
    }));

  test('test_user_rref_backward: on another worker, and twice', () =>
    inContext(async (id) => {
      using rref = keptAt(1, (x: tf.Tensor) => tf.sum(tf.mul(x, b)), a as tf.Tensor);
      await rref.backward(id, { retainGraph: true });
      expectGradients(team, id, times(1));
      await rref.backward(id);
      expectGradients(team, id, times(2));
      expect([...autograd.getGradients(id).keys()]).toEqual([a]);
    }));

  test('test_user_rref_backward: what is no tensor, without an id, without a graph', () =>
    inContext(async (id) => {
      using text = keptAt(1, () => 'text');
      using rref = keptAt(1, (x: tf.Tensor) => tf.sum(x), a as tf.Tensor);
      const refused = { code: 'invalid_argument' };
      await expect(text.backward(id)).rejects.toMatchObject({ ...refused, peer: 'w1' });
      await expect(rref.backward()).rejects.toMatchObject(refused);
      await rref.backward(id);
      await expect(rref.backward(id)).rejects.toMatchObject({ code: 'graph_freed', peer: 'w1' });
    }));
});
