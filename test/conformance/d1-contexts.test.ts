/** Contexts: who takes part in them, and that they end everywhere. The names are those of the peer's own tests. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { shareOf } from '../../autograd/plugin.ts';
import { autograd, tf } from '../../index.ts';
import { faultyAgent } from '../../testing/index.ts';
import {
  at,
  CARRIERS,
  clean,
  contextCount,
  expectGradients,
  keptAt,
  startTeam,
  type Team,
} from '../autograd/support.ts';
import { referenceGradients } from '../support/gradients.ts';
import { randomTensor, randomVariable } from '../support/numbers.ts';
import { until } from '../support/until.ts';

const PEERS = [1, 2, 3];

describe.each(CARRIERS)('over %s', (carrier) => {
  let team: Team;
  let a: tf.Variable;
  let b: tf.Variable;
  let x: tf.Tensor;
  beforeAll(async () => {
    team = await startTeam(4, carrier);
    [a, b] = [randomVariable([3], 1), randomVariable([3], 2)];
    x = randomTensor([3], 3);
  });
  afterAll(async () => {
    tf.dispose([a, b, x]);
    await team.stop();
  });
  const inContext = (fn: (id: autograd.ContextId) => Promise<void>): Promise<void> =>
    clean(team, () => team.as(0, () => autograd.context(fn)));
  const counts = (): number[] => team.workers.map(contextCount);
  const nowhere = (): Promise<unknown> => until(() => counts().every((count) => count === 0));

  test.each<[string, () => tf.Tensor]>([
    ['tensors that need gradients', () => a],
    ['tensors that need none', () => x],
  ])('test_worker_ids_recorded: of peers that got %s', (_, given) =>
    inContext(async (id) => {
      for (const peer of PEERS) await at(peer, (y: tf.Tensor) => tf.square(y), given());
      const context = shareOf(team.workers[0] as (typeof team.workers)[0])?.contexts.find(id);
      expect([...(context?.peers ?? [])].sort()).toEqual(PEERS);
    }),
  );

  test.each<[string, () => Promise<unknown>]>([
    [
      'test_context_cleanup_tensor_with_grad',
      () =>
        Promise.all(PEERS.map((peer) => at(peer, (y: tf.Tensor) => tf.mul(y, b), a as tf.Tensor))),
    ],
    [
      'test_context_cleanup_tensor_no_grad',
      () => Promise.all(PEERS.map((peer) => at(peer, (y: tf.Tensor) => tf.square(y), x))),
    ],
    ['test_context_cleanup_no_tensors', () => Promise.all(PEERS.map((peer) => at(peer, () => 1)))],
    [
      'test_context_cleanup_nested_rpc',
      () =>
        at(1, () =>
          at(2, (y: tf.Tensor) => at(3, (z: tf.Tensor) => tf.mul(z, b), y), a as tf.Tensor),
        ),
    ],
  ])('%s: the end of a context is its end on all workers', async (_, work) => {
    await inContext(async () => {
      await work();
      expect(counts()).toEqual([1, 1, 1, 1]);
    });
    await nowhere();
  });

  test('test_context_cleanup_tensor_with_grad, with faults: an end that was not sent is sent again', async () => {
    const { chaos } = faultyAgent({
      messagesToFail: ['CLEANUP_AUTOGRAD_CONTEXT_REQ'],
      numFailSends: 3,
    });
    const faulty = await startTeam(4, carrier, { chaos });
    const left = (): number[] => faulty.workers.map(contextCount);
    try {
      await faulty.as(0, () =>
        autograd.context(async () => {
          const square = (y: tf.Tensor): tf.Tensor => tf.mul(y, b);
          tf.dispose(await Promise.all(PEERS.map((peer) => at(peer, square, a as tf.Tensor))));
          expect(left()).toEqual([1, 1, 1, 1]);
        }),
      );
      expect(chaos.injected.filter(({ worker }) => worker === 'w0')).toHaveLength(3);
      expect(left()).toEqual([0, 1, 1, 1]);
      await until(() => left().every((count) => count === 0), 20_000);
    } finally {
      await faulty.stop();
    }
  }, 30_000);

  test('test_debug_info: contexts and passes under way are counted, and none are left', async () => {
    const info = (rank: number): number[] => {
      const { 'autograd.numContexts': contexts, 'autograd.numCurrentBackwardPasses': passes } =
        team.workers[rank]?.getDebugInfo() ?? {};
      return [contexts ?? -1, passes ?? -1];
    };
    const seen: number[][] = [];
    const noting = tf.customGrad((y, save) => {
      (save as (ts: tf.Tensor[]) => void)([y as tf.Tensor]);
      const gradFunc = (dy: tf.Tensor): tf.Tensor => {
        seen.push(info(0), info(1));
        return tf.clone(dy);
      };
      return { value: tf.clone(y as tf.Tensor), gradFunc };
    });
    await inContext(async (id) => {
      const far = await at(1, (y: tf.Tensor) => noting(tf.mul(y, b)), a as tf.Tensor);
      const back = await at(1, (y: tf.Tensor) => tf.mul(y, b), noting(far));
      await autograd.backward(id, [tf.sum(back)]);
      expect(seen).toEqual([
        [1, 1],
        [1, 1],
        [1, 1],
        [1, 1],
      ]);
      expect([info(0), info(1)]).toEqual([
        [1, 0],
        [1, 0],
      ]);
      const keys = Object.keys(team.workers[0]?.getDebugInfo() ?? {});
      expect(keys.filter((key) => key.startsWith('autograd.'))).toHaveLength(2);
    });
    await nowhere();
    expect([0, 1, 2, 3].map(info)).toEqual([
      [0, 0],
      [0, 0],
      [0, 0],
      [0, 0],
    ]);
  });

  test('test_thread_local_context_id: a result begun outside belongs to the context that fetches it', async () => {
    let go: () => void = () => {};
    const started = new Promise<void>((resolve) => {
      go = resolve;
    });
    using slow = team.as(0, () => keptAt(1, () => started.then(() => b)));
    await inContext(async (id) => {
      const fetched = slow.toHere();
      go();
      await autograd.backward(id, [tf.sum(tf.mul((await fetched) as tf.Tensor, a))]);
      expectGradients(
        team,
        id,
        referenceGradients(() => tf.sum(tf.mul(a, b)), [a, b]),
      );
      expect(await at(1, () => autograd.getGradients(id).has(b))).toBe(true);
    });
  });
});
