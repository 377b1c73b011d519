/** What is recorded at both ends of a call. The names are those of the peer's own tests. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { DistContext } from '../../autograd/dist-context.ts';
import { shareOf } from '../../autograd/plugin.ts';
import { autograd, tf } from '../../index.ts';
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
import { randomTensor, randomVariable } from '../support/numbers.ts';
import { until } from '../support/until.ts';

type Two = (a: tf.Tensor, b: tf.Tensor) => Promise<tf.Tensor>;

const add = (a: tf.Tensor, b: tf.Tensor): tf.Tensor => tf.add(a, b);
const fetched = async (rank: number, a: tf.Tensor, b: tf.Tensor): Promise<tf.Tensor> => {
  using rref = keptAt(rank, add, a, b);
  return (await rref.toHere()) as tf.Tensor;
};

describe.each(CARRIERS)('over %s', (carrier) => {
  let team: Team;
  let a: tf.Tensor;
  let b: tf.Tensor;
  let x: tf.Tensor;
  beforeAll(async () => {
    team = await startTeam(3, carrier);
    [a, b] = [randomVariable([3], 1), randomVariable([3], 2)];
    x = randomTensor([3], 3);
  });
  afterAll(async () => {
    tf.dispose([a, b, x]);
    await team.stop();
  });
  const inContext = (fn: (id: autograd.ContextId) => Promise<void>): Promise<void> =>
    clean(team, () => team.as(0, () => autograd.context(fn)));
  const shareAt = (rank: number, id: autograd.ContextId): DistContext => {
    const context = shareOf(team.workers[rank] as WorkerNode)?.contexts.find(id);
    if (context === undefined) throw new Error(`no context on w${rank}`);
    return context;
  };
  const sends = (share: DistContext): tf.Tensor[][] =>
    [...share.sentMessages.values()].map(({ tensors }) =>
      tensors.filter((t) => share.graph.requiresGrad(t)),
    );

  /** Of an addition on w1: what is sent, what came, and how the addition hangs between. */
  function expectPair(id: autograd.ContextId, sum: tf.Tensor): void {
    const [here, there] = [shareAt(0, id), shareAt(1, id)];
    expect(sends(here)).toEqual([[a, b]]);
    expect([...here.received.keys()]).toEqual([sum.id]);
    expect(here.originOf(sum)).toMatchObject({ peer: 1, index: 0 });
    const [[result]] = sends(there) as [[tf.Tensor]];
    const [node] = there.graph.tape.upstream([result]);
    expect(node?.kernelName).toBe('Add');
    const origins = Object.values(node?.inputs ?? {}).map((t) => there.originOf(t as tf.Tensor));
    expect(origins.map((origin) => origin?.index)).toEqual([0, 1]);
    expect(new Set(origins.map((origin) => origin?.message)).size).toBe(1);
    expect(origins[0]?.peer).toBe(0);
  }

  test.each<[string, Two]>([
    ['test_graph_for_builtin_call, test_graph_for_python_call', (l, r) => at(1, add, l, r)],
    [
      'test_graph_for_builtin_remote_call, test_graph_for_python_remote_call',
      (l, r) => fetched(1, l, r),
    ],
  ])('%s: a pair of ends each way', async (_, call) => {
    await inContext(async (id) => expectPair(id, await call(a, b)));
    await until(() => team.workers.every((worker) => contextCount(worker) === 0));
  });

  test.each<[string, Two]>([
    [
      'test_graph_for_py_nested_call',
      (l, r) => at(1, (p: tf.Tensor, q: tf.Tensor) => at(2, add, p, q), l, r),
    ],
    [
      'test_graph_for_py_nested_remote_call',
      async (l, r) => {
        using rref = keptAt(1, (p: tf.Tensor, q: tf.Tensor) => fetched(2, p, q), l, r);
        return (await rref.toHere()) as tf.Tensor;
      },
    ],
  ])('%s: the worker in the middle has two of each', (_, call) =>
    inContext(async (id) => {
      const sum = await call(a, b);
      const [first, middle, last] = [0, 1, 2].map((rank) => shareAt(rank, id)) as [
        DistContext,
        DistContext,
        DistContext,
      ];
      expect([first, middle, last].map((share) => share.sentMessages.size)).toEqual([1, 2, 1]);
      expect([first, middle, last].map((share) => share.received.size)).toEqual([1, 3, 2]);
      expect(first.originOf(sum)?.peer).toBe(1);
    }),
  );

  test.each<[string, Two]>([
    [
      'test_graph_for_py_nested_call_itself',
      (l, r) => at(1, (p: tf.Tensor, q: tf.Tensor) => at(0, add, p, q), l, r),
    ],
    [
      'test_graph_for_py_nested_remote_call_itself',
      async (l, r) => {
        using rref = keptAt(1, (p: tf.Tensor, q: tf.Tensor) => fetched(0, p, q), l, r);
        return (await rref.toHere()) as tf.Tensor;
      },
    ],
  ])('%s: back to the caller', (_, call) =>
    inContext(async (id) => {
      await call(a, b);
      const [first, middle] = [shareAt(0, id), shareAt(1, id)];
      expect([first.sentMessages.size, middle.sentMessages.size]).toEqual([2, 2]);
      expect([first.received.size, middle.received.size]).toEqual([3, 3]);
    }),
  );

  test.each<[string, Two]>([
    ['test_no_graph_with_tensors_not_require_grad', (l, r) => at(1, add, l, r)],
    ['test_no_graph_with_tensors_not_require_grad_remote', (l, r) => fetched(1, l, r)],
  ])('%s: nothing is recorded, and the context is there', (_, call) =>
    inContext(async (id) => {
      await call(x, x);
      for (const share of [shareAt(0, id), shareAt(1, id)]) {
        expect([share.sentMessages.size, share.received.size]).toEqual([0, 0]);
      }
    }),
  );

  test.each<[string, (list: tf.Tensor[]) => Promise<unknown>]>([
    ['test_rpc_complex_args', (list) => at(1, (all: tf.Tensor[]) => tf.stack(all), list)],
    [
      'test_remote_complex_args',
      async (list) => {
        using rref = keptAt(1, (all: tf.Tensor[]) => tf.stack(all), list);
        await rref.toHere();
      },
    ],
  ])('%s: every second of a list', (_, call) =>
    inContext(async (id) => {
      const list = Array.from({ length: 10 }, (_, i) =>
        i % 2 === 0 ? autograd.requiresGrad(tf.scalar(i)) : tf.scalar(i),
      );
      await call(list);
      const share = shareAt(0, id);
      expect(sends(share)).toEqual([list.filter((_, i) => i % 2 === 0)]);
      expect([...share.peers]).toEqual([1]);
    }),
  );
});
