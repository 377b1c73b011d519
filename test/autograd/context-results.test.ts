/** What a context returns belongs to whoever surrounds it. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { autograd, tf } from '../../index.ts';
import { TensorScope } from '../../tensor/index.ts';
import { at, clean, startTeam, type Team } from './support.ts';

let team: Team;
beforeAll(async () => {
  team = await startTeam(2, 'memory');
});
afterAll(() => team.stop());

const twice = (x: tf.Tensor): Promise<tf.Tensor> => autograd.context(() => tf.mul(x, 2));

test('a handler frees it, returned or not', () =>
  clean(team, () =>
    team.as(0, async () => {
      const x = tf.scalar(3);
      for (let i = 0; i < 5; i++) {
        const y = (await at(1, twice, x)) as tf.Tensor;
        expect(y.dataSync()[0]).toBe(6);
        y.dispose();
        await at(1, async (z: tf.Tensor) => (await twice(z)).dataSync()[0], x);
      }
      x.dispose();
    }),
  ));

test('a surrounding context or scope owns it', () =>
  clean(team, () =>
    team.as(0, async () => {
      const x = tf.scalar(3);
      await autograd.context(async () => {
        expect((await twice(x)).dataSync()[0]).toBe(6);
      });
      const scope = new TensorScope();
      const y = await scope.run(() => twice(x));
      expect(scope.owns(y)).toBe(true);
      scope.dispose();
      x.dispose();
    }),
  ));

test('ids that are none are refused by name', async () => {
  for (const id of [null, 5, {}, 'x']) {
    expect(() => team.as(0, () => autograd.getGradients(id as autograd.ContextId))).toThrow(
      /^unknown_context/,
    );
  }
});
