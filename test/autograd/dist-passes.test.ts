/** Backward passes over several workers: again, side by side, and what is no pass at all. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { autograd, tf } from '../../index.ts';
import { referenceGradients } from '../support/gradients.ts';
import { randomTensor, randomVariable } from '../support/numbers.ts';
import {
  at,
  CARRIERS,
  clean,
  contextCount,
  expectGradients,
  startTeam,
  type Team,
} from './support.ts';

type ContextId = autograd.ContextId;

describe.each(CARRIERS)('over %s', (carrier) => {
  let team: Team;
  let a: tf.Variable;
  let b: tf.Variable;
  let x: tf.Tensor;
  beforeAll(async () => {
    team = await startTeam(3, carrier);
    a = randomVariable([3], 1);
    b = randomVariable([3], 2);
    x = randomTensor([3], 3);
  });
  afterAll(async () => {
    tf.dispose([a, b, x]);
    await team.stop();
  });

  const inContext = (rank: number, fn: (id: ContextId) => Promise<void>): Promise<void> =>
    team.as(rank, () => autograd.context(fn));
  const farProduct = (rank: number, scale = 1): Promise<tf.Tensor> =>
    at(rank, (y: tf.Tensor) => tf.mul(tf.mul(y, b), scale), tf.square(a));
  const localProduct = (scale: number): tf.Tensor => tf.sum(tf.mul(tf.mul(tf.square(a), b), scale));

  test('test_backward_accumulate_grads: a second pass adds to the first, by retainGraph', () =>
    clean(team, () =>
      inContext(0, async (id) => {
        const loss = tf.sum(await farProduct(1));
        await autograd.backward(id, [loss], { retainGraph: true });
        expectGradients(
          team,
          id,
          referenceGradients(() => localProduct(1), [a, b]),
        );
        await autograd.backward(id, [loss]);
        expectGradients(
          team,
          id,
          referenceGradients(() => localProduct(2), [a, b]),
        );
      }),
    ));

  test('without it the second pass names the worker whose graph is freed, and changes nothing', () =>
    clean(team, () =>
      inContext(0, async (id) => {
        const far = await at(1, () => tf.mul(b, 3));
        await autograd.backward(id, [tf.sum(far)]);
        await expect(autograd.backward(id, [tf.sum(far)])).rejects.toMatchObject({
          code: 'backward_failed',
          peer: 'w1',
          message: expect.stringContaining('retainGraph'),
        });
        expectGradients(
          team,
          id,
          referenceGradients(() => tf.sum(tf.mul(b, 3)), [b]),
        );
        const mine = tf.sum(tf.square(a));
        await autograd.backward(id, [mine]);
        await expect(autograd.backward(id, [mine])).rejects.toMatchObject({ code: 'graph_freed' });
      }),
    ));

  test('two graphs of one context add up', () =>
    clean(team, () =>
      inContext(0, async (id) => {
        const [first, second] = [tf.sum(await farProduct(1)), tf.sum(await farProduct(2, 3))];
        await Promise.all([autograd.backward(id, [first]), autograd.backward(id, [second])]);
        expectGradients(
          team,
          id,
          referenceGradients(() => localProduct(4), [a, b]),
        );
      }),
    ));

  test('passes of different contexts run over the same workers at once', () =>
    clean(team, async () => {
      await Promise.all(
        [0, 1].map((rank) =>
          inContext(rank, async (id) => {
            const loss = tf.sum(await farProduct(2, rank + 1));
            await autograd.backward(id, [loss]);
            expectGradients(
              team,
              id,
              referenceGradients(() => localProduct(rank + 1), [a, b]),
            );
          }),
        ),
      );
    }));

  test('eight contexts interleaved over three workers', () =>
    clean(team, async () => {
      await Promise.all(
        Array.from({ length: 8 }, (_, i) =>
          inContext(i % 3, async (id) => {
            let y: tf.Tensor = tf.square(a);
            for (const hop of [1, 2, 0]) {
              y = await at((i + hop) % 3, (z: tf.Tensor) => tf.mul(z, i + 1), y);
            }
            const loss = tf.sum(await at(i % 3, (z: tf.Tensor) => tf.mul(z, b), y));
            await autograd.backward(id, [loss]);
            expectGradients(
              team,
              id,
              referenceGradients(() => localProduct((i + 1) ** 3), [a, b]),
            );
          }),
        ),
      );
    }));

  test('test_async_dist_autograd: sixty flows, every worker trains against every worker at once', () =>
    clean(team, async () => {
      await Promise.all(
        Array.from({ length: 60 }, (_, i) =>
          inContext(i % 3, async (id) => {
            const server = Math.floor(i / 3) % 3;
            await autograd.backward(id, [tf.sum(await farProduct(server, i))]);
            expectGradients(
              team,
              id,
              referenceGradients(() => localProduct(i), [a, b]),
            );
          }),
        ),
      );
    }));

  test('a worker that takes part can start a pass, and each sees its own gradients alone', () =>
    clean(team, () =>
      inContext(0, async (id) => {
        const far = async (y: tf.Tensor) => {
          const loss = tf.sum(tf.mul(y, b));
          await autograd.backward(id, [loss]);
          return [...autograd.getGradients(id).keys()].length;
        };
        expect(await at(1, far, tf.square(a))).toBe(1);
        expect([...autograd.getGradients(id).keys()]).toEqual([a]);
        expectGradients(
          team,
          id,
          referenceGradients(() => localProduct(1), [a, b]),
        );
      }),
    ));

  test('test_worker_ids_recorded: a context reaches every worker that was called in it, with or without tensors', () =>
    clean(team, async () => {
      await inContext(0, async () => {
        await at(1, () => at(2, () => 1));
        expect(team.workers.map(contextCount)).toEqual([1, 1, 1]);
      });
    }));

  test('test_autograd_context: ids of contexts in a row are all different, known while open and over afterwards', () =>
    clean(team, async () => {
      const ids = new Set<ContextId>();
      for (let i = 0; i < 200; i++) {
        await inContext(1, async (id) => {
          ids.add(id);
          expect(autograd.getGradients(id).size).toBe(0);
        });
      }
      expect(ids.size).toBe(200);
      for (const id of ids) {
        expect(() => team.as(1, () => autograd.getGradients(id))).toThrow(
          expect.objectContaining({ code: 'context_released' }),
        );
      }
    }));

  test.each<[string, (id: ContextId, far: tf.Tensor) => unknown, string]>([
    ['no list', () => undefined, 'invalid_argument'],
    ['an empty list', () => [], 'invalid_argument'],
    ['a number', () => [1], 'invalid_argument'],
    ['a vector', (_, far) => [tf.mul(far, a)], 'invalid_argument'],
    ['a constant', () => [tf.scalar(1)], 'no_gradient'],
    ['whole numbers', (_, far) => [tf.sum(tf.cast(far, 'int32'))], 'no_gradient'],
  ])('test_backward_invalid_args: roots that cannot be: %s', (_, roots, code) =>
    clean(team, () =>
      inContext(0, async (id) => {
        const given = roots(id, await farProduct(1)) as tf.Tensor[];
        await expect(autograd.backward(id, given)).rejects.toMatchObject({ code });
        expect(autograd.getGradients(id).size).toBe(0);
      }),
    ),
  );

  test('test_backward_without_context: ids of nobody, of another worker and of the past', () =>
    clean(team, async () => {
      const loss = tf.scalar(1);
      const nobody = 'none.1' as ContextId;
      const refused = (rank: number, id: ContextId, code: string): Promise<void> =>
        team.as(rank, async () => {
          await expect(autograd.backward(id, [loss])).rejects.toMatchObject({ code });
          expect(() => autograd.getGradients(id)).toThrow(expect.objectContaining({ code }));
          expect(() => autograd.run(id, () => 1)).toThrow(expect.objectContaining({ code }));
        });
      let over = nobody;
      await inContext(0, async (id) => {
        over = id;
        await refused(1, id, 'unknown_context');
        await refused(0, nobody, 'unknown_context');
        await at(1, () => 1);
      });
      await refused(0, over, 'context_released');
      await team.quiet();
      await refused(1, over, 'context_released');
      loss.dispose();
    }));

  test('a call through another worker than the one of the context is refused', () =>
    clean(team, () =>
      inContext(0, async () => {
        const other = team.workers[1];
        if (other === undefined) throw new Error('no second worker');
        expect(() => other.run(() => at(2, () => 1))).toThrow(
          expect.objectContaining({ code: 'unknown_context' }),
        );
      }),
    ));

  test('fifty rounds leave nothing anywhere', () =>
    clean(team, async () => {
      const before = tf.memory();
      const counts = new Set<number>();
      for (let round = 0; round < 50; round++) {
        await inContext(0, async (id) => {
          const first = await farProduct(1);
          const back = await at(
            2,
            (y: tf.Tensor) => at(1, (z: tf.Tensor) => tf.mul(z, b), y),
            first,
          );
          await autograd.backward(id, [tf.sum(back)]);
        });
        await team.quiet();
        counts.add(tf.memory().numTensors - before.numTensors);
        counts.add(tf.memory().numDataBuffers - before.numDataBuffers);
      }
      expect([...counts]).toEqual([0]);
    }));
});
