/** Passes that take long: longer than a call may, and without holding the event loop. */
import { expect, test } from '@jest/globals';
import { autograd, tf } from '../../index.ts';
import { referenceGradients } from '../support/gradients.ts';
import { randomVariable } from '../support/numbers.ts';
import { at, CARRIERS, clean, expectGradients, startTeam } from './support.ts';
import { computeFor, withGradient } from './with-gradient.ts';

test.each(CARRIERS)('a pass may take longer than a call over %s', async (carrier) => {
  const team = await startTeam(2, carrier, { timeoutMs: 200 });
  const b = randomVariable([3], 2);
  await clean(team, () =>
    team.as(0, () =>
      autograd.context(async (id) => {
        let y: tf.Tensor = tf.ones([3]);
        const slow = (z: tf.Tensor) => withGradient(tf.mul(z, b), () => computeFor(150));
        for (let i = 0; i < 3; i++) y = await at(1, slow, y);
        await autograd.backward(id, [tf.sum(y)]);
        expectGradients(
          team,
          id,
          referenceGradients(() => tf.sum(tf.pow(b, 3)), [b]),
        );
      }),
    ),
  );
  b.dispose();
  await team.stop();
});

test('a pass of many operations lets others work between them, at the initiator and at a callee', async () => {
  const team = await startTeam(2, 'memory');
  const b = randomVariable([3], 2);
  let turns = 0;
  let isOver = false;
  const turn = (): void => {
    turns++;
    if (!isOver) setImmediate(turn);
  };
  const slow = (z: tf.Tensor): tf.Tensor => {
    let y = tf.mul(z, b);
    for (let i = 0; i < 20; i++) y = withGradient(y, () => computeFor(2));
    return y;
  };
  const turnsOf = async (fn: () => Promise<void>): Promise<number> => {
    const before = turns;
    await fn();
    return turns - before;
  };
  await clean(team, () =>
    team.as(0, () =>
      autograd.context(async (id) => {
        const here = tf.sum(slow(tf.ones([3])));
        const there = tf.sum(await at(1, slow, tf.ones([3])));
        turn();
        for (const loss of [here, there]) {
          expect(await turnsOf(() => autograd.backward(id, [loss]))).toBeGreaterThan(5);
        }
        isOver = true;
      }),
    ),
  );
  b.dispose();
  await team.stop();
});
