/** Gradients through variables, references and objects of other workers, and around noGrad. */
import { afterAll, beforeAll, describe, test } from '@jest/globals';
import { autograd, tf } from '../../index.ts';
import { randomVariable } from '../support/numbers.ts';
import { mean, product, sameOn } from './placed.ts';
import {
  at,
  CARRIERS,
  callOn,
  clean,
  expectSame,
  holderAt,
  keptAt,
  startTeam,
  type Team,
} from './support.ts';

describe.each(CARRIERS)('over %s', (carrier) => {
  let team: Team;
  beforeAll(async () => {
    team = await startTeam(4, carrier);
  });
  afterAll(() => team.stop());
  const same = sameOn(() => team);

  same(
    'variables as arguments and fetched by toHere',
    'ab',
    async ({ a, b }) => {
      using parameter = keptAt(1, () => b);
      const here = (await parameter.toHere()) as tf.Tensor;
      const sent = await at(2, (w: tf.Tensor) => tf.square(w), a as tf.Tensor);
      return mean(product(tf.mul(here, sent), here));
    },
    ({ a, b }) => mean(product(tf.mul(b, tf.square(a)), b)),
  );

  same(
    'references made in the context, fetched here and elsewhere',
    'abc',
    async ({ a, b, c }) => {
      using kept = keptAt(1, (y: tf.Tensor) => product(y, b), tf.square(a));
      const here = (await kept.toHere()) as tf.Tensor;
      const there = await at(
        2,
        async (rref: typeof kept) => {
          using mine = rref;
          return tf.mul((await mine.toHere()) as tf.Tensor, c);
        },
        kept,
      );
      return mean(tf.add(here, there));
    },
    ({ a, b, c }) => {
      const y = product(tf.square(a), b);
      return mean(tf.add(y, tf.mul(y, c)));
    },
  );

  same(
    'methods of an object on another worker',
    'ab',
    async ({ a, b }) => {
      using holder = holderAt(1, () => b);
      const method = (w: tf.Variable, y: tf.Tensor) => product(y, w);
      const first = await callOn(holder, method, tf.square(a));
      return mean(await callOn(holder, method, first));
    },
    ({ a, b }) => mean(product(product(tf.square(a), b), b)),
  );

  same(
    'what noGrad computes counts as constant, here, around a call and at the callee',
    'ab',
    async ({ a, b, c }) => {
      const here = autograd.noGrad(() => tf.square(a));
      const around = await autograd.noGrad(() =>
        at(1, (y: tf.Tensor) => tf.mul(y, c), tf.square(b)),
      );
      const there = await at(
        1,
        (y: tf.Tensor) =>
          tf.mul(
            y,
            autograd.noGrad(() => tf.square(b)),
          ),
        tf.mul(a, b),
      );
      return mean(tf.addN([here, around, there, tf.mul(here, a)]));
    },
    ({ a, b, c }) => {
      const constant = (v: tf.Tensor) => tf.tensor(v.dataSync(), v.shape);
      const here = constant(tf.square(a));
      const around = constant(tf.mul(tf.square(b), c));
      const there = tf.mul(tf.mul(a, b), constant(tf.square(b)));
      return mean(tf.addN([here, around, there, tf.mul(here, a)]));
    },
  );

  test('gradients of several megabytes', () =>
    clean(team, async () => {
      const big = randomVariable([1_200, 1_000], 1);
      await expectSame(
        team,
        [big],
        async () => {
          using rref = keptAt(1, () => big);
          const here = (await rref.toHere()) as tf.Tensor;
          return mean(tf.square(await at(2, (y: tf.Tensor) => tf.mul(y, 3), here)));
        },
        () => mean(tf.square(tf.mul(big, 3))),
      );
      big.dispose();
    }));
});
