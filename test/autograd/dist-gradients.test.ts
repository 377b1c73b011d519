/** Gradients over RPC are those of the same computation in one place. */
import { afterAll, beforeAll, describe } from '@jest/globals';
import { tf } from '../../index.ts';
import { mean, product, SHAPE, sameOn } from './placed.ts';
import { at, CARRIERS, startTeam, type Team } from './support.ts';

describe.each(CARRIERS)('over %s', (carrier) => {
  let team: Team;
  beforeAll(async () => {
    team = await startTeam(4, carrier);
  });
  afterAll(() => team.stop());
  const same = sameOn(() => team);

  same(
    'test_backward_simple, test_backward_simple_python_udf: one hop',
    'ab',
    async ({ a, b, x }) => mean(await at(1, (y: tf.Tensor) => product(y, b), tf.mul(a, x))),
    ({ a, b, x }) => mean(product(tf.mul(a, x), b)),
  );

  same(
    'the loss is what came back',
    'b',
    async ({ b, x }) => at(1, (y: tf.Tensor) => mean(tf.mul(b, y)), x),
    ({ b, x }) => mean(tf.mul(b, x)),
  );

  same(
    'test_grad_only_on_return_value: only the result needs a gradient',
    'b',
    async ({ b }) => mean(tf.square(await at(1, () => tf.mul(b, 2)))),
    ({ b }) => mean(tf.square(tf.mul(b, 2))),
  );

  same(
    'test_backwards_nested_python_udf: nested through three workers back to the first',
    'abcd',
    async ({ a, b, c, d, x }) => {
      const back = (z: tf.Tensor) => tf.add(z, d);
      const third = async (z: tf.Tensor) => tf.mul(await at(0, back, product(z, c)), c);
      const second = async (y: tf.Tensor) => tf.tanh(await at(2, third, product(y, b)));
      return mean(await at(1, second, tf.mul(a, x)));
    },
    ({ a, b, c, d, x }) =>
      mean(tf.tanh(tf.mul(tf.add(product(product(tf.mul(a, x), b), c), d), c))),
  );

  same(
    'test_backward_multiple_round_trips: a chain over all workers, twice around',
    'abcd',
    async ({ a, b, c, d, x }) => {
      let y: tf.Tensor = x;
      for (let round = 0; round < 2; round++) {
        for (const [i, v] of [a, b, c, d].entries()) {
          y = await at(i, (z: tf.Tensor) => tf.sigmoid(product(z, v)), y);
        }
      }
      return mean(y);
    },
    ({ a, b, c, d, x }) =>
      mean([a, b, c, d, a, b, c, d].reduce<tf.Tensor>((y, v) => tf.sigmoid(product(y, v)), x)),
  );

  same(
    'a diamond: two branches in parallel, joined on the fourth',
    'abcd',
    async ({ a, b, c, d }) => {
      const y = tf.square(a);
      const [left, right] = await Promise.all([
        at(1, (z: tf.Tensor) => product(z, b), y),
        at(2, (z: tf.Tensor) => tf.sub(z, c), y),
      ]);
      return mean(
        await at(3, (l: tf.Tensor, r: tf.Tensor) => tf.mul(product(l, r), d), left, right),
      );
    },
    ({ a, b, c, d }) => mean(tf.mul(product(product(tf.square(a), b), tf.sub(tf.square(a), c)), d)),
  );

  same(
    'a ring in which each hands on to the next',
    'abcd',
    async ({ a, b, c, d, x }) => {
      const vars = [a, b, c, d];
      const hop = async (rank: number, y: tf.Tensor): Promise<tf.Tensor> => {
        const z = tf.mul(y, vars[rank] as tf.Variable);
        return rank === 3 ? z : await at(rank + 1, hop, rank + 1, z);
      };
      return mean(await hop(0, x));
    },
    ({ a, b, c, d, x }) => mean(tf.mul(tf.mul(tf.mul(tf.mul(x, a), b), c), d)),
  );

  same(
    'a worker calls itself',
    'ab',
    async ({ a, b }) => mean(await at(0, (y: tf.Tensor) => product(y, b), tf.square(a))),
    ({ a, b }) => mean(product(tf.square(a), b)),
  );

  same(
    'one tensor twice in a call and again in a second',
    'a',
    async ({ a }) => {
      const y = tf.square(a);
      const [p, q] = await Promise.all([
        at(1, (l: tf.Tensor, r: tf.Tensor) => product(l, r), y, y),
        at(1, (l: tf.Tensor) => tf.tanh(l), y),
      ]);
      return mean(tf.add(p, q));
    },
    ({ a }) => mean(tf.add(product(tf.square(a), tf.square(a)), tf.tanh(tf.square(a)))),
  );

  same(
    'test_backward_multiple_output_tensors, test_backward_unused_tensors: several results of which some are used',
    'ab',
    async ({ a, b }) => {
      const all = await at(1, (y: tf.Tensor) => tf.split(tf.mul(y, b), 3), tf.square(a));
      return mean(tf.mul(all[0] as tf.Tensor, all[2] as tf.Tensor));
    },
    ({ a, b }) => {
      const all = tf.split(tf.mul(tf.square(a), b), 3);
      return mean(tf.mul(all[0] as tf.Tensor, all[2] as tf.Tensor));
    },
  );

  same(
    'results that nobody uses: at the caller, at a callee, in the middle of a chain',
    'ac',
    async ({ a, b, c, d }) => {
      await at(1, (y: tf.Tensor) => tf.mul(y, b), tf.square(a));
      const second = async (y: tf.Tensor) => {
        await at(3, (z: tf.Tensor) => tf.mul(z, d), tf.mul(y, b));
        return [tf.mul(y, c), tf.mul(y, b)];
      };
      const first = async (y: tf.Tensor) => (await at(2, second, tf.tanh(y)))[0] as tf.Tensor;
      return mean(await at(1, first, tf.square(a)));
    },
    ({ a, c }) => mean(tf.mul(tf.tanh(tf.square(a)), c)),
  );

  same(
    'a tensor handed through a worker that does not touch it',
    'ac',
    async ({ a, c }) => {
      const through = (y: tf.Tensor) => at(2, (z: tf.Tensor) => product(z, c), y);
      const untouched = await at(1, (y: tf.Tensor) => y, tf.square(a));
      return mean(tf.add(await at(1, through, tf.square(a)), untouched));
    },
    ({ a, c }) => mean(tf.add(product(tf.square(a), c), tf.square(a))),
  );

  same(
    'whole numbers and truth values among the others',
    'ab',
    async ({ a, b }) => {
      const choose = (mask: tf.Tensor, y: tf.Tensor, rows: tf.Tensor) => ({
        rows,
        chosen: tf.gather(tf.where(mask, y, b), rows as tf.Tensor1D),
        mask: tf.logicalNot(mask),
      });
      const rows = tf.tensor1d([2, 0, 2], 'int32');
      const back = await at(1, choose, tf.greater(a, 0), tf.square(a), rows);
      return mean(tf.where(back.mask, back.chosen, tf.gather(a, back.rows as tf.Tensor1D)));
    },
    ({ a, b }) => {
      // tfjs itself wants a gradient of what makes the mask.
      const mask = tf.tensor(tf.greater(a, 0).dataSync(), SHAPE, 'bool');
      const rows = tf.tensor1d([2, 0, 2], 'int32');
      const chosen = tf.gather(tf.where(mask, tf.square(a), b), rows);
      return mean(tf.where(tf.logicalNot(mask), chosen, tf.gather(a, rows)));
    },
  );

  same(
    'test_backward_multiple_roots: several roots',
    'ab',
    async ({ a, b }) => {
      const y = await at(1, (z: tf.Tensor) => tf.mul(z, b), tf.square(a));
      const loss = mean(y);
      return [loss, tf.sum(tf.square(y)), loss, await at(1, () => tf.sum(b))];
    },
    ({ a, b }) => {
      const y = tf.mul(tf.square(a), b);
      return tf.addN([mean(y), tf.sum(tf.square(y)), mean(y), tf.sum(b)]);
    },
  );
});
