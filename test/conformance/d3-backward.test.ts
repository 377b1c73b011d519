/** Gradients over workers are those of one process. The names are those of the peer's own tests. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { autograd, tf } from '../../index.ts';
import { mean, product, SHAPE, sameOn } from '../autograd/placed.ts';
import {
  at,
  CARRIERS,
  callOn,
  clean,
  expectGradients,
  holderAt,
  keptAt,
  startTeam,
  type Team,
} from '../autograd/support.ts';
import { referenceGradients } from '../support/gradients.ts';
import { randomTensor, randomVariable } from '../support/numbers.ts';

type Kept = { toHere(): Promise<unknown> } & Disposable;
const RANKS = [0, 1, 2, 3];

/** The value behind a reference that is let go of. */
async function here(kept: Kept): Promise<tf.Tensor> {
  using rref = kept;
  return (await rref.toHere()) as tf.Tensor;
}

describe.each(CARRIERS)('over %s', (carrier) => {
  let team: Team;
  beforeAll(async () => {
    team = await startTeam(4, carrier);
  });
  afterAll(() => team.stop());
  const same = sameOn(() => team);

  for (const [mode, call] of [
    ['local', at.bind(null, 0)],
    ['sync', at.bind(null, 1)],
    [
      'remote',
      (...all: Parameters<typeof at> extends [number, ...infer R] ? R : never) =>
        here(keptAt(1, ...all)),
    ],
  ] as unknown as [
    string,
    (fn: (...ts: tf.Tensor[]) => tf.Tensor, ...ts: tf.Tensor[]) => Promise<tf.Tensor>,
  ][]) {
    same(
      `test_backward_simple: ${mode}`,
      'ab',
      async ({ a, b }) =>
        tf.sum(await call((p, q) => tf.add(p as tf.Tensor, q as tf.Tensor), a, b)),
      ({ a, b }) => tf.sum(tf.add(a, b)),
    );
    same(
      `test_backward_multiple_round_trips: ${mode}, some arguments need no gradient`,
      'ab',
      async ({ a, b, x }) => {
        let y: tf.Tensor = a;
        for (const other of [x, b, x, a, b, x]) {
          y = await call((p, q) => tf.tanh(tf.mul(p as tf.Tensor, q as tf.Tensor)), y, other);
        }
        return mean(y);
      },
      ({ a, b, x }) =>
        mean([x, b, x, a, b, x].reduce<tf.Tensor>((y, t) => tf.tanh(tf.mul(y, t)), a)),
    );
  }

  same(
    'test_backward_different_tensor_dims: a chain of matrices over several peers',
    'ab',
    async ({ a, b, x }) => {
      const wide = await at(1, (m: tf.Tensor) => tf.concat([m, m], 1), a as tf.Tensor);
      const tall = await at(2, (m: tf.Tensor) => tf.concat([m, m], 0), b as tf.Tensor);
      const square = await at(3, product, wide, tall);
      return mean(await at(1, product, square, tf.reshape(tf.slice(x, [0, 0], [3, 1]), [3, 1])));
    },
    ({ a, b, x }) =>
      mean(
        product(product(tf.concat([a, a], 1), tf.concat([b, b], 0)), tf.slice(x, [0, 0], [3, 1])),
      ),
  );

  same(
    'test_backward_unused_tensors: slices of some of three that are stacked',
    'abc',
    async ({ a, b, c }) => {
      const stacked = await at(1, (...all: tf.Tensor[]) => tf.stack(all), a as tf.Tensor, b, c);
      return tf.sum(tf.slice(stacked, [0, 0, 0], [2, 2, 2]));
    },
    ({ a, b, c }) => tf.sum(tf.slice(tf.stack([a, b, c]), [0, 0, 0], [2, 2, 2])),
  );

  same(
    'test_backward_complex_python_udf: five products that depend on each other',
    'ab',
    async ({ a, b }) =>
      mean(
        await at(
          1,
          (p: tf.Tensor, q: tf.Tensor) =>
            [1, 2, 3, 4, 5].reduce<tf.Tensor>(
              (y, i) => product(tf.mul(y, i), i % 2 === 0 ? p : q),
              p,
            ),
          a as tf.Tensor,
          b as tf.Tensor,
        ),
      ),
    ({ a, b }) =>
      mean(
        [1, 2, 3, 4, 5].reduce<tf.Tensor>((y, i) => product(tf.mul(y, i), i % 2 === 0 ? a : b), a),
      ),
  );

  same(
    'test_backward_simple_self, test_mixed_requires_grad: a callee sees who needs gradients',
    'a',
    async ({ a, x }) => {
      const branch = (p: tf.Tensor, q: tf.Tensor) => {
        const [first, second] = [autograd.needsGrad(p), autograd.needsGrad(q)];
        return first && !second ? tf.mul(p, q) : tf.add(p, q);
      };
      return mean(
        tf.add(await at(1, branch, a as tf.Tensor, x), await at(0, branch, a as tf.Tensor, x)),
      );
    },
    ({ a, x }) => mean(tf.mul(tf.mul(a, x), 2)),
  );

  test('test_backward_no_grad_on_tensor: gradients of a pass are in its context alone', () =>
    clean(team, () =>
      team.as(0, async () => {
        const a = randomVariable(SHAPE, 1);
        await autograd.context(async (outer) => {
          await autograd.backward(outer, [tf.sum(tf.square(a))]);
          await autograd.context(async (inner) => {
            const far = await at(1, (y: tf.Tensor) => tf.mul(y, 3), a as tf.Tensor);
            await autograd.backward(inner, [tf.sum(far)]);
            expectGradients(
              team,
              inner,
              referenceGradients(() => tf.sum(tf.mul(a, 3)), [a]),
            );
          });
          expectGradients(
            team,
            outer,
            referenceGradients(() => tf.sum(tf.square(a)), [a]),
          );
        });
        a.dispose();
      }),
    ));

  test('test_backward_rref, test_backward_rref_multi: a parameter of one worker, used by all at once', () =>
    clean(team, async () => {
      const b = randomVariable(SHAPE, 2);
      const parameter = team.as(1, () => holderAt(1, () => b));
      const multiply = (w: tf.Tensor, y: tf.Tensor): tf.Tensor => product(w, y);
      await Promise.all(
        RANKS.map((rank) =>
          team.as(rank, async () => {
            using w = await at(1, () => parameter);
            const a = randomVariable(SHAPE, 10 + rank);
            await autograd.context(async (id) => {
              await autograd.backward(id, [mean(await callOn(w, multiply, a as tf.Tensor))]);
              expectGradients(
                team,
                id,
                referenceGradients(() => mean(product(b, a)), [a, b]),
              );
              expect([...autograd.getGradients(id).keys()]).toEqual(rank === 1 ? [a, b] : [a]);
            });
            a.dispose();
          }),
        ),
      );
      parameter.dispose();
      b.dispose();
    }));

  test('test_trainer_ps: each worker serves the others, and contexts do not mix', () =>
    clean(team, async () => {
      const weights = RANKS.map((rank) => randomVariable(SHAPE, rank));
      const x = randomTensor(SHAPE, 9);
      const train = (trainer: number, server: number): Promise<void> =>
        team.as(trainer, () =>
          autograd.context(async (id) => {
            const w = weights[server] as tf.Variable;
            const run = (y: tf.Tensor): tf.Tensor => tf.mul(product(w, y), trainer + 1);
            await autograd.backward(id, [mean(await at(server, run, x))]);
            const local = (): tf.Tensor => mean(tf.mul(product(w, x), trainer + 1));
            expectGradients(team, id, referenceGradients(local, [w]));
          }),
        );
      const pairs = RANKS.flatMap((t) => RANKS.filter((s) => s !== t).map((s) => train(t, s)));
      await Promise.all(pairs);
      tf.dispose([...weights, x]);
    }));
});
