/** What PyTorch RPC checks of itself, theme F2: references when messages fail, are lost, or come late. */
import { describe, expect, test } from '@jest/globals';
import { shareOf } from '../../autograd/plugin.ts';
import { autograd, tf } from '../../index.ts';
import { FaultPlan } from '../../rpc/faults/fault-plan.ts';
import { register } from '../../rpc/registry.ts';
import type { RRef } from '../../rpc/rref.ts';
import { faultyAgent } from '../../testing/index.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import { add, echo } from '../support/services.ts';
import { until } from '../support/until.ts';

/** A function of the user, where the peer tells it from an operator of its own; here all are the user's. */
function userAdd(a: number, b: number): number {
  return a + b;
}

async function readOnce(rref: RRef<number>): Promise<number> {
  using mine = rref;
  return (await mine.toHere()) as number;
}

async function squareThere(rref: RRef<tf.Tensor>): Promise<tf.Tensor> {
  using mine = rref;
  return tf.square((await mine.toHere()) as tf.Tensor);
}

register({ userAdd, readOnce, squareThere });

const LIMIT = { timeoutMs: 100 };
const FAILED = /^deadline_exceeded: worker\d did not answer \w+ within 100 ms/;

describe.each(TRANSPORTS)('%s', (transport) => {
  test('test_check_failed_messages: references and contexts survive failures of their messages, three of each', async () => {
    const { chaos } = faultyAgent({
      messagesToFail: [
        'RREF_FORK_REQUEST',
        'RREF_CHILD_ACCEPT',
        'RREF_USER_DELETE',
        'CLEANUP_AUTOGRAD_CONTEXT_REQ',
      ],
      numFailSends: 3,
    });
    await using cluster = await startCluster({ transport, workers: 3, chaos });
    const worker = cluster.at(0);
    const x = tf.tidy(() => tf.variable(tf.tensor1d([1, 2])));
    await worker.run(() =>
      autograd.context(async (id) => {
        using rref = worker.remote('worker1', echo<tf.Tensor>, [x]);
        const squared = await worker.rpcSync('worker2', squareThere, [rref]);
        await autograd.backward(id, [tf.sum(squared)]);
        const gradient = autograd.getGradients(id).get(x) as tf.Tensor;
        expect([...(await gradient.data())]).toEqual([2, 4]);
      }),
    );
    x.dispose();
    await cluster.unreferenced(undefined, 30_000);
    await until(() => cluster.workers.every((one) => shareOf(one)?.contexts.size === 0), 30_000);
    const failed = chaos.injected.filter(({ worker: by }) => by === 'worker0');
    expect(new Set(failed.map(({ kind }) => kind))).toEqual(new Set(['references', 'release']));
  }, 60_000);

  test.each([
    ['test_remote_message_dropped_pickle', 1],
    ['test_remote_message_dropped_pickle_to_self', 0],
  ])('%s: a reference whose creation was lost cannot be passed on', async (_name, owner) => {
    const chaos = new FaultPlan('worker0/remote=drop');
    await using cluster = await startCluster({ transport, chaos });
    const worker = cluster.at(0);
    using rref = worker.remote(owner, add, [1, 2], LIMIT);
    await until(() => worker.endpoint.waitingCount === 0);
    await expect(worker.rpcSync(1, readOnce, [rref])).rejects.toThrow(FAILED);
  });

  test.each([
    ['test_builtin_remote_message_dropped_timeout', add, 1],
    ['test_builtin_remote_message_dropped_timeout_to_self', add, 0],
    ['test_udf_remote_message_dropped_timeout', userAdd, 1],
    ['test_udf_remote_message_dropped_timeout_to_self', userAdd, 0],
  ])('%s: what asks for it hears that its creation failed', async (_name, fn, owner) => {
    const chaos = new FaultPlan('worker0/remote=drop');
    await using cluster = await startCluster({ transport, chaos });
    using rref = cluster.at(0).remote(owner, fn, [1, 2], LIMIT);
    await until(() => cluster.at(0).endpoint.waitingCount === 0);
    await expect(rref.toHere()).rejects.toThrow(FAILED);
  });

  test.each([
    ['test_udf_remote_message_delay_timeout', userAdd, 1],
    ['test_remote_message_builtin_delay_timeout', add, 1],
    ['test_remote_message_builtin_delay_timeout_to_self', add, 0],
  ])(
    '%s: a creation that comes late has failed here, or is waited for',
    async (_name, fn, owner) => {
      const { chaos } = faultyAgent({ messagesToDelay: { PYTHON_REMOTE_CALL: 400 } });
      await using cluster = await startCluster({ transport, chaos });
      const worker = cluster.at(0);
      using impatient = worker.remote(owner, fn, [1, 2], LIMIT);
      await until(() => worker.endpoint.waitingCount === 0);
      await expect(impatient.toHere()).rejects.toThrow(FAILED);
      using patient = worker.remote(owner, fn, [1, 2]);
      await expect(patient.toHere({ timeoutMs: 100 })).rejects.toThrow(/^deadline_exceeded/);
      expect(await patient.toHere()).toBe(3);
      // Both are there in the end, with a copy each: 2 owners and 2 forks, which one's own objects do not need.
      const { numOwnerRrefs, numLocalObjects, numForks } = cluster.at(owner).references.debugInfo();
      const expected = owner === 0 ? [0, 2, 0] : [2, 0, 2];
      expect([numOwnerRrefs, numLocalObjects, numForks]).toEqual(expected);
    },
  );

  test('test_rref_to_here_timeout: a fetch that comes late is over, and another one is not', async () => {
    const { chaos } = faultyAgent({ messagesToDelay: { PYTHON_RREF_FETCH_CALL: 300 } });
    await using cluster = await startCluster({ transport, chaos });
    using rref = cluster.at(0).remote(1, add, [1, 2]);
    await rref.getFuture();
    await expect(rref.toHere({ timeoutMs: 20 })).rejects.toThrow(/^deadline_exceeded/);
    expect(await rref.toHere()).toBe(3);
  });
});
