/** F31: shutdown in all orders, and whatever has become of the others: it ends, and says what was drained, cut off and dead. */
import { describe, expect, test } from '@jest/globals';
import type { ShutdownReport } from '../../rpc/shutdown.ts';
import type { WorkerNode } from '../../rpc/worker.ts';
import { type Cluster, startCluster } from '../support/cluster.ts';
import { add, held, newGate } from '../support/services.ts';
import { count } from '../support/streams.ts';
import { until } from '../support/until.ts';

/** Far more than a shutdown takes, far less than it would wait for silence. */
const SOON_MS = 5_000;
const CLEAN = { drained: true, cancelled: 0, dead: [], leaked: [] };
const ORDERS = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
] as const;

/** All connections of a worker break, without a word. */
function kill(cluster: Cluster, rank: number): void {
  for (const { info } of cluster.workers) {
    if (info.id !== rank) cluster.at(rank).endpoint.cut(info.id, new Error('killed'));
  }
}

async function within<R>(work: Promise<R>): Promise<R> {
  const startedAt = performance.now();
  const result = await work;
  expect(performance.now() - startedAt).toBeLessThan(SOON_MS);
  return result;
}

/** The others have noticed. */
async function mourned(cluster: Cluster, dead: number): Promise<readonly WorkerNode[]> {
  const others = cluster.workers.filter(({ info }) => info.id !== dead);
  await until(() => others.every(({ members }) => members.isGone(dead)));
  return others;
}

function three(): Promise<Cluster> {
  return startCluster({ workers: 3, transport: 'memory', leave: { graceful: false } });
}

describe('F31', () => {
  test.each(ORDERS)('all leave, in the order %d %d %d', async (...order) => {
    await using cluster = await three();
    const reports: Promise<ShutdownReport>[] = [];
    for (const rank of order) {
      reports.push(cluster.at(rank).shutdown());
      expect(await cluster.at(order[2]).rpcSync(rank, add, [1, 2])).toBe(3);
    }
    expect(await within(Promise.all(reports))).toEqual([CLEAN, CLEAN, CLEAN]);
  });

  test.each([0, 1, 2])('rank %d dies before: the others leave without it', async (dead) => {
    await using cluster = await three();
    kill(cluster, dead);
    const others = await mourned(cluster, dead);
    const reports = await within(Promise.all(others.map((worker) => worker.shutdown())));
    for (const report of reports) {
      expect(report).toEqual({ ...CLEAN, drained: false, dead: [`worker${dead}`] });
    }
  });

  test.each([0, 1, 2])('rank %d dies while the others wait for it', async (dead) => {
    await using cluster = await three();
    const others = cluster.workers.filter(({ info }) => info.id !== dead);
    const leaving = Promise.all(others.map((worker) => worker.shutdown()));
    kill(cluster, dead);
    for (const report of await within(leaving)) expect(report.dead).toEqual([`worker${dead}`]);
  });

  test('the caller of a handler that never ends dies: its work is cut off, and reported', async () => {
    await using cluster = await three();
    const gate = newGate();
    const call = cluster.at(2).rpcSync(0, held, ['x']);
    call.catch(() => {});
    await until(() => gate.arrived === 1);
    kill(cluster, 2);
    const others = await mourned(cluster, 2);
    const [first, second] = await within(Promise.all(others.map((worker) => worker.shutdown())));
    expect(first).toEqual({ drained: false, cancelled: 1, dead: ['worker2'], leaked: [] });
    expect(second).toMatchObject({ cancelled: 0, dead: ['worker2'] });
    gate.open();
    await until(() => cluster.at(0).endpoint.runningCount === 0);
  });

  test('the callee dies under a call and under a stream: both end, and nobody waits', async () => {
    await using cluster = await three();
    const gate = newGate();
    const call = cluster.at(0).rpcSync(2, held, ['x']);
    const stream = cluster.at(0).rpcStream(2, count, [1e9]);
    const items = (async () => {
      for await (const item of stream) if (item === 5) kill(cluster, 2);
    })();
    const ends = Promise.allSettled([call, items]);
    const leaving = [0, 1].map((rank) => cluster.at(rank).shutdown());
    for (const end of await within(ends)) {
      expect(end).toMatchObject({ status: 'rejected', reason: { code: 'unavailable' } });
    }
    for (const report of await within(Promise.all(leaving))) {
      expect(report).toEqual({ ...CLEAN, drained: false, dead: ['worker2'] });
    }
    gate.open();
  });

  test('one never leaves: the limit of the others is kept', async () => {
    await using cluster = await three();
    const leaving = [0, 1].map((rank) => cluster.at(rank).shutdown({ timeoutMs: 200 }));
    for (const report of await within(Promise.all(leaving))) {
      expect(report).toMatchObject({ drained: false, cancelled: 0 });
    }
  });

  test('asked for twice, and at once, it is one', async () => {
    await using cluster = await three();
    const twice = cluster.workers.flatMap((worker) => [worker.shutdown(), worker.shutdown()]);
    for (const report of await within(Promise.all(twice))) expect(report).toEqual(CLEAN);
    expect(await within(cluster.at(1).shutdown())).toEqual(CLEAN);
  });

  test('two of three die, one after the other', async () => {
    await using cluster = await three();
    const leaving = cluster.at(1).shutdown();
    kill(cluster, 0);
    await mourned(cluster, 0);
    kill(cluster, 2);
    const { dead, drained } = await within(leaving);
    expect([dead, drained]).toEqual([['worker0', 'worker2'], false]);
  });
});
