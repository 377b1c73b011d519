/** Sparse tensors and gradients through calls, as SparseSlices. The names are those of the peer's own tests. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { shareOf } from '../../autograd/plugin.ts';
import { autograd, optim, type rpc, SparseSlices, tf } from '../../index.ts';
import type { WorkerNode } from '../../rpc/worker.ts';
import {
  at,
  CARRIERS,
  clean,
  contextCount,
  keptAt,
  startTeam,
  type Team,
} from '../autograd/support.ts';
import { randomVariable, relativeDifference } from '../support/numbers.ts';
import { until } from '../support/until.ts';

const SHAPE = [6, 2];
type Call = (a: SparseSlices, b: SparseSlices) => Promise<SparseSlices>;

/** Some rows; gradients are wanted for their contents unless said otherwise. */
function build(rows: readonly number[], needsGrad = true): SparseSlices {
  const values = tf.tensor2d(rows.map((row) => [row + 1, row - 1]));
  if (needsGrad) autograd.requiresGrad(values);
  return new SparseSlices(tf.tensor1d([...rows], 'int32'), values, SHAPE);
}

const add = (a: SparseSlices, b: SparseSlices): SparseSlices => a.add(b);
const loss = (sum: SparseSlices): tf.Tensor => tf.sum(tf.square(sum.toDense()));

async function fetched(to: number, a: SparseSlices, b: SparseSlices): Promise<SparseSlices> {
  using rref = keptAt(to, add, a, b);
  return (await rref.toHere()) as SparseSlices;
}

const CALLS: [string, Call, middle: number][] = [
  [
    'test_graph_for_builtin_call_sparse, test_graph_for_python_call_sparse, test_backward_simple_sparse, test_backward_simple_python_udf_sparse',
    (a, b) => at(1, add, a, b),
    1,
  ],
  [
    'test_graph_for_builtin_remote_call_sparse, test_graph_for_python_remote_call_sparse',
    (a, b) => fetched(1, a, b),
    1,
  ],
  [
    'test_graph_for_py_nested_call_sparse, test_backwards_nested_python_udf_sparse',
    (a, b) => at(1, (p: SparseSlices, q: SparseSlices) => at(2, add, p, q), a, b),
    2,
  ],
  [
    'test_graph_for_py_nested_remote_call_sparse',
    (a, b) => at(1, (p: SparseSlices, q: SparseSlices) => fetched(2, p, q), a, b),
    2,
  ],
  [
    'test_graph_for_py_nested_call_itself_sparse',
    (a, b) => at(1, (p: SparseSlices, q: SparseSlices) => at(0, add, p, q), a, b),
    2,
  ],
  [
    'test_graph_for_py_nested_remote_call_itself_sparse',
    (a, b) => at(1, (p: SparseSlices, q: SparseSlices) => fetched(0, p, q), a, b),
    2,
  ],
  ['test_backward_simple_self_sparse', (a, b) => at(0, add, a, b), 0],
];

describe.each(CARRIERS)('over %s', (carrier) => {
  let team: Team;
  beforeAll(async () => {
    team = await startTeam(3, carrier);
  });
  afterAll(() => team.stop());
  const inContext = (fn: (id: autograd.ContextId) => Promise<void>): Promise<void> =>
    clean(team, () => team.as(0, () => autograd.context(fn)));
  const sentBy = (rank: number, id: autograd.ContextId): number | undefined =>
    shareOf(team.workers[rank] as WorkerNode)?.contexts.find(id)?.sentMessages.size;
  const wholeOf = (id: autograd.ContextId, of: tf.Tensor): number[] => [
    ...(autograd.getGradients(id).get(of)?.dataSync() ?? []),
  ];

  /** Twice each row of the whole sum, times `factor`. */
  function expected(of: SparseSlices, sum: SparseSlices, factor = 1): number[] {
    const rows = tf.gather(sum.toDense(), of.indices);
    return [...tf.mul(rows, 2 * factor).dataSync()];
  }

  test.each(CALLS)('%s', (_, call, middle) =>
    inContext(async (id) => {
      const [a, b] = [build([1, 3]), build([3, 5, 3])];
      const sum = await call(a, b);
      if (middle > 0) expect([sentBy(0, id), sentBy(1, id)]).toEqual([sentBy(0, id), middle]);
      await autograd.backward(id, [loss(sum)], { retainGraph: true });
      for (const given of [a, b]) expect(wholeOf(id, given.values)).toEqual(expected(given, sum));
      // test_nested_backward_accumulate_grads_sparse
      await autograd.backward(id, [loss(sum)]);
      for (const given of [a, b])
        expect(wholeOf(id, given.values)).toEqual(expected(given, sum, 2));
    }),
  );

  test.each<[string, Call]>([
    [
      'test_no_graph_with_tensors_not_require_grad_sparse, test_context_cleanup_tensor_no_grad_sparse',
      (a, b) => at(1, add, a, b),
    ],
    ['test_no_graph_with_tensors_not_require_grad_remote_sparse', (a, b) => fetched(1, a, b)],
    [
      'test_context_cleanup_nested_rpc_sparse',
      (a, b) => at(1, (p: SparseSlices, q: SparseSlices) => at(2, add, p, q), a, b),
    ],
  ])('%s', async (_, call) => {
    await inContext(async (id) => {
      await call(build([1], false), build([2], false));
      expect([sentBy(0, id), sentBy(1, id)]).toEqual([0, 0]);
    });
    await until(() => team.workers.every((worker) => contextCount(worker) === 0));
  });

  test('test_rpc_complex_args_sparse, test_remote_complex_args_sparse, test_context_cleanup_tensor_with_grad_sparse', async () => {
    await inContext(async (id) => {
      const list = Array.from({ length: 10 }, (_, i) => build([i % 6], i % 2 === 0));
      const sumAll = (all: SparseSlices[]): SparseSlices => all.reduce((s, next) => s.add(next));
      const sum = await at(1, sumAll, list);
      using kept = keptAt(1, sumAll, list);
      await kept.toHere();
      await autograd.backward(id, [loss(sum)]);
      const leaves = list.filter((_, i) => i % 2 === 0);
      const keys = autograd.getGradients(id);
      expect([keys.size, leaves.every(({ values }) => keys.has(values))]).toEqual([5, true]);
      for (const given of leaves) expect(wholeOf(id, given.values)).toEqual(expected(given, sum));
    });
    await until(() => team.workers.every((worker) => contextCount(worker) === 0));
  });

  test('test_mixed_requires_grad_sparse, test_backward_multiple_round_trips_sparse, test_backward_no_grad_on_tensor_sparse', () =>
    inContext(async (id) => {
      const [a, b] = [build([1, 3]), build([3], false)];
      const seen = await at(
        1,
        (...all: SparseSlices[]) => all.map(({ values }) => autograd.needsGrad(values)),
        a,
        b,
      );
      expect(seen).toEqual([true, false]);
      let sum = a;
      for (const peer of [1, 2, 0, 1]) sum = await at(peer, add, sum, b);
      await autograd.backward(id, [loss(sum)]);
      expect([...autograd.getGradients(id).keys()]).toEqual([a.values]);
      expect(wholeOf(id, a.values)).toEqual(expected(a, sum));
    }));

  test(
    'test_multiple_backward_sparse: a thousand passes',
    () =>
      inContext(async (id) => {
        const table = autograd.sparseGradient(randomVariable([6, 2], 1));
        const rows = await at(
          1,
          (t: tf.Tensor) => tf.gather(t, tf.tensor1d([1, 4], 'int32')),
          table as tf.Tensor,
        );
        const sum = tf.sum(rows);
        for (let i = 0; i < 1_000; i++) await autograd.backward(id, [sum], { retainGraph: true });
        expect(wholeOf(id, table)).toEqual([0, 0, 1000, 1000, 0, 0, 0, 0, 1000, 1000, 0, 0]);
        table.dispose();
      }),
    120_000,
  );

  test('test_backward_rref_sparse, test_backward_rref_nested_sparse, test_backward_rref_multi_sparse, test_trainer_ps_sparse', () =>
    clean(team, async () => {
      const table = autograd.sparseGradient(randomVariable([6, 2], 1));
      const lookUp = (row: number) => tf.gather(table, tf.tensor1d([row], 'int32'));
      await Promise.all(
        [0, 1, 2].map((rank) =>
          team.as(rank, () =>
            autograd.context(async (id) => {
              const direct = await at(2, lookUp, rank);
              const nested = await at(1, () => at(2, lookUp, rank + 3));
              await autograd.backward(id, [tf.sum(tf.add(direct, tf.mul(nested, 2)))]);
              const found = await at(2, () => {
                const gradient = autograd.getGradients(id, { sparse: true }).get(table);
                return gradient instanceof SparseSlices ? gradient : undefined;
              });
              const whole = [...(found as SparseSlices).toDense().dataSync()];
              const row = (r: number) => whole.slice(2 * r, 2 * r + 2);
              expect([row(rank), row(rank + 3), whole.reduce((s, v) => s + v)]).toEqual([
                [1, 1],
                [2, 2],
                6,
              ]);
            }),
          ),
        ),
      );
      table.dispose();
    }));

  test('test_embedding_bag_with_no_grad_tensors, test_my_parameter_server_sparse: rows from the op to the optimizer', () =>
    clean(team, async () => {
      const bag = randomVariable([6, 2], 1);
      const reference = randomVariable([6, 2], 1);
      autograd.sparseGradient(bag);
      const words = [1, 4, 4];
      const forward = (table: tf.Tensor, weights: tf.Tensor): tf.Tensor =>
        tf.sum(
          tf.mul(tf.gather(table, tf.tensor1d(words, 'int32')), tf.reshape(weights, [-1, 1])),
          0,
        );
      const start = tf.tensor1d([0.5, 2, 3]);
      await team.as(0, async () => {
        const parameter = keptAt(1, () => bag) as unknown as rpc.RRef<tf.Variable>;
        using sgd = new optim.DistributedOptimizer(optim.SGD, [parameter], { lr: 0.1 });
        await autograd.context(async (id) => {
          const weights = autograd.requiresGrad(tf.clone(start));
          const remote = (w: tf.Tensor): tf.Tensor => forward(bag, w);
          for (let pass = 0; pass < 2; pass++) {
            const out = await at(1, remote, weights);
            await autograd.backward(id, [tf.sum(tf.square(out))]);
          }
          const rows = await at(
            1,
            () => (autograd.getGradients(id, { sparse: true }).get(bag) as SparseSlices).length,
          );
          expect(rows).toBe(6);
          const local = tf.grads((t: tf.Tensor, w: tf.Tensor) => tf.sum(tf.square(forward(t, w))));
          const [table, weight] = autograd.noGrad(() => local([reference, weights])) as [
            tf.Tensor,
            tf.Tensor,
          ];
          const found = autograd.getGradients(id).get(weights) as tf.Tensor;
          expect(relativeDifference(found, tf.mul(weight, 2))).toBeLessThan(1e-6);
          await sgd.step(id);
          reference.assign(tf.sub(reference, tf.mul(table, 0.2)));
        });
        expect(relativeDifference(bag, reference)).toBeLessThan(1e-6);
        parameter.dispose();
      });
      tf.dispose([bag, reference, start]);
    }));
});
