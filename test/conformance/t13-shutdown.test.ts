/** What PyTorch RPC checks of shutdown (T13), by the names of its tests. */
import { describe, expect, test } from '@jest/globals';
import { shutdown as shutdownCurrent, waitAllWorkers } from '../../rpc/api.ts';
import { currentWorker } from '../../rpc/current.ts';
import { register } from '../../rpc/registry.ts';
import { RRef } from '../../rpc/rref.ts';
import type { WorkerNode } from '../../rpc/worker.ts';
import { tf } from '../../tensor/index.ts';
import { type Cluster, startCluster, TRANSPORTS } from '../support/cluster.ts';
import { add, double } from '../support/services.ts';

const CLEAN = { drained: true, cancelled: 0, dead: [], leaked: [] };

/** Work that makes work for the next worker too. */
async function twice(x: tf.Tensor): Promise<tf.Tensor> {
  const worker = currentWorker<WorkerNode>();
  const next = (worker.info.id + 1) % worker.getWorkerInfos().length;
  return await worker.rpcSync(next, double, [x]);
}
register({ twice });

/** One worker gives the others work in two phases; they have nothing else to do. */
async function lead({
  workers,
  at,
}: {
  workers: Cluster['workers'];
  at: WorkerNode;
}): Promise<void> {
  const others = workers.filter((worker) => worker !== at);
  for (let phase = 1; phase <= 2; phase++) {
    const x = tf.fill([2, 2], phase);
    const work = others.map(({ info }) => at.rpcAsync(info, twice, [x]));
    const results = await Promise.all(work);
    for (const y of results) expect((await y.data())[0]).toBe(2 * phase);
    tf.dispose([x, ...results]);
  }
}

describe.each(TRANSPORTS)('%s', (transport) => {
  test('test_graceful_shutdown_with_uneven_workload: those who wait to leave still work, in two phases', async () => {
    await using cluster = await startCluster({ transport, workers: 4 });
    const { workers } = cluster;
    const waiting = workers.slice(1).map((worker) => worker.shutdown());
    await lead({ workers, at: cluster.at(0) });
    expect(await Promise.all([cluster.at(0).shutdown(), ...waiting])).toEqual(Array(4).fill(CLEAN));
  });

  test('test_wait_all_workers_dense: those who wait still work, in two phases, and nobody leaves', async () => {
    await using cluster = await startCluster({ transport, workers: 4 });
    const { workers } = cluster;
    let met = 0;
    const wait = (worker: WorkerNode): Promise<unknown> =>
      worker.run(() => waitAllWorkers()).then(() => met++);
    const waiting = workers.slice(1).map(wait);
    await lead({ workers, at: cluster.at(0) });
    expect(met).toBe(0);
    await Promise.all([wait(cluster.at(0)), ...waiting]);
    await lead({ workers, at: cluster.at(3) });
  });

  test('test_wait_all_workers_twice_dense: again after the first, with work in between', async () => {
    await using cluster = await startCluster({ transport, workers: 4 });
    const { workers } = cluster;
    for (let time = 0; time < 2; time++) {
      const waiting = workers.slice(1).map((worker) => worker.waitAllWorkers());
      await lead({ workers, at: cluster.at(0) });
      await Promise.all([cluster.at(0).waitAllWorkers(), ...waiting]);
    }
    // Also without awaiting the first.
    await Promise.all([...workers, ...workers].map((worker) => worker.waitAllWorkers()));
  });

  test('test_wait_all_workers_timeout: with a limit it fails, and can be repeated', async () => {
    await using cluster = await startCluster({ transport });
    for (const rank of [0, 1, 1]) {
      const late = cluster.at(rank).waitAllWorkers({ timeoutMs: 10 });
      await expect(late).rejects.toThrow(/^deadline_exceeded: not all workers were there/);
    }
    await Promise.all(cluster.workers.map((worker) => worker.waitAllWorkers()));
  });

  test('test_shutdown_followed_by_rpc: a call after it says why', async () => {
    const cluster = await startCluster({ transport });
    await Promise.all(cluster.workers.map((worker) => worker.run(() => shutdownCurrent())));
    await cluster[Symbol.asyncDispose]();
    expect(() => cluster.at(0).rpcAsync(1, add, [1, 1])).toThrow(/^shut_down/);
    expect(() => new RRef(1)).toThrow(/^not_initialized/);
    expect(() => shutdownCurrent()).toThrow(/^not_initialized/);
  });

  test('test_local_shutdown_with_rpc: after a call, without grace', async () => {
    await using cluster = await startCluster({ transport, leave: { graceful: false } });
    const x = tf.scalar(3);
    const y = await cluster.at(0).rpcSync(1, double, [x]);
    expect((await y.data())[0]).toBe(6);
    tf.dispose([x, y]);
    const { cancelled } = await cluster.at(0).shutdown({ graceful: false });
    expect(cancelled).toBe(0);
  });
});
