import { describe, expect, test } from '@jest/globals';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import { add, held, newGate, visits, wander } from '../support/services.ts';
import { until } from '../support/until.ts';

const CLEAN = { drained: true, cancelled: 0, dead: [], leaked: [] };

describe.each(TRANSPORTS)('%s', (transport) => {
  test('all leave together, in any order, without delay', async () => {
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [1, 0, 2],
    ]) {
      await using cluster = await startCluster({ workers: 3, transport });
      const reports = [];
      for (const rank of order) {
        reports.push(cluster.at(rank).shutdown());
        // The others come later.
        for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
      }
      expect(await Promise.all(reports)).toEqual([CLEAN, CLEAN, CLEAN]);
      expect(await cluster.at(0).shutdown()).toEqual(CLEAN);
      expect(() => cluster.at(0).rpcAsync(1, add, [1, 1])).toThrow(/^shut_down/);
      await expect(cluster.at(0).barrier()).rejects.toThrow(/^shut_down/);
    }
  });

  test('waits for work in flight, and serves until all want to leave', async () => {
    await using cluster = await startCluster({ workers: 3, transport });
    const gate = newGate();
    const call = cluster.at(0).rpcAsync(1, held, ['done']);
    const leaving = [1, 2, 0].map((rank) => cluster.at(rank).shutdown());
    await until(() => gate.arrived === 1);
    expect(await cluster.at(1).rpcSync(2, add, [1, 2])).toBe(3);
    gate.open();
    expect(await call).toBe('done');
    expect(await Promise.all(leaving)).toEqual([CLEAN, CLEAN, CLEAN]);
  });

  test('waits for chains of calls that nobody waits for', async () => {
    visits.length = 0;
    {
      await using cluster = await startCluster({ workers: 3, transport });
      for (const worker of cluster.workers) {
        const path = Array.from({ length: 20 }, (_, i) => (worker.info.id + i) % 3);
        void worker.rpcAsync((worker.info.id + 1) % 3, wander, [path.map((r) => `worker${r}`)]);
      }
    }
    expect(visits.length).toBe(63);
  });

  test('is bounded when a member never leaves', async () => {
    await using cluster = await startCluster({ transport, leave: { graceful: false } });
    const startedAt = performance.now();
    const report = await cluster.at(0).shutdown({ timeoutMs: 100 });
    expect(report).toEqual({ drained: false, cancelled: 0, dead: [], leaked: [] });
    expect(performance.now() - startedAt).toBeLessThan(1000);
  });

  test('without a limit is bounded by silence', async () => {
    await using cluster = await startCluster({ transport, leave: { graceful: false } });
    const startedAt = performance.now();
    // Longer than a crowded machine makes a process stand still, and calls for longer than that.
    const leaving = cluster.at(0).shutdown({ quietMs: 500 });
    while (performance.now() - startedAt < 700) {
      expect(await cluster.at(1).rpcSync(0, add, [1, 2])).toBe(3);
    }
    expect(await leaving).toEqual({ drained: false, cancelled: 0, dead: [], leaked: [] });
    expect(performance.now() - startedAt).toBeGreaterThan(700);
  });

  test('is not silent while a request is under way, as long as its caller waits', async () => {
    await using cluster = await startCluster({ transport, leave: { graceful: false } });
    const [a, b] = [cluster.at(0), cluster.at(1)];
    const gate = newGate();
    const unbounded = a.rpcAsync(1, held, ['done'], { timeoutMs: Number.POSITIVE_INFINITY });
    await until(() => gate.arrived === 1);
    let isOver = false;
    const leaving = b.shutdown({ quietMs: 20 }).finally(() => {
      isOver = true;
    });
    const until80 = performance.now() + 80;
    await until(() => performance.now() > until80);
    expect([isOver, b.endpoint.quietForMs, a.endpoint.quietForMs]).toEqual([false, 0, 0]);
    gate.open();
    expect(await unbounded).toBe('done');
    expect(await leaving).toEqual({ drained: false, cancelled: 0, dead: [], leaked: [] });
  });

  test('a handler that never ends holds a shutdown no longer than its caller', async () => {
    await using cluster = await startCluster({ transport, leave: { graceful: false } });
    const [a, b] = [cluster.at(0), cluster.at(1)];
    const gate = newGate();
    const startedAt = performance.now();
    const call = a.rpcAsync(1, held, ['x'], { timeoutMs: 60 });
    call.catch(() => {});
    await until(() => gate.arrived === 1);
    expect(await b.shutdown({ quietMs: 20 })).toMatchObject({ drained: false, cancelled: 1 });
    expect(performance.now() - startedAt).toBeGreaterThan(79);
    await expect(call).rejects.toThrow(/^(deadline_exceeded|unavailable)/);
    gate.open();
    await until(() => b.endpoint.runningCount === 0);
  });

  test('limits that are none are refused, and nothing happens', async () => {
    await using cluster = await startCluster({ transport });
    for (const bad of [Number.NaN, 0, -1, '5', null]) {
      for (const name of ['timeoutMs', 'quietMs']) {
        const refused = cluster.at(0).shutdown({ [name]: bad } as never);
        await expect(refused).rejects.toThrow(/^invalid_argument: .*not a positive number/);
      }
    }
    expect(await cluster.at(0).rpcSync(1, add, [1, 2])).toBe(3);
    await expect(cluster.at(0).barrier('worker0' as never)).rejects.toThrow(/^invalid_argument/);
  });

  test('a stricter shutdown takes effect on one that waits, a milder one does not', async () => {
    for (const hurry of [{ graceful: false }, { timeoutMs: 20 }, { quietMs: 20 }]) {
      await using cluster = await startCluster({ transport, leave: { graceful: false } });
      const leaving = cluster.at(0).shutdown();
      for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
      const startedAt = performance.now();
      const again = cluster.at(0).shutdown(hurry);
      void cluster.at(0).shutdown({ timeoutMs: 60_000 });
      const report = await leaving;
      expect(report).toEqual({ drained: false, cancelled: 0, dead: [], leaked: [] });
      expect(await again).toBe(report);
      expect(performance.now() - startedAt).toBeLessThan(1000);
    }
  });

  test('is bounded when a call never ends, which is cut off', async () => {
    await using cluster = await startCluster({ transport, leave: { graceful: false } });
    const gate = newGate();
    const call = cluster.at(0).rpcAsync(1, held, ['x']);
    call.catch(() => {});
    await until(() => gate.arrived === 1);
    const reports = await Promise.all(
      cluster.workers.map((worker) => worker.shutdown({ timeoutMs: 100 })),
    );
    // Who is second may find itself alone, with nothing left to do.
    expect(reports.every(({ drained }) => drained)).toBe(false);
    expect(reports.reduce((sum, { cancelled }) => sum + cancelled, 0)).toBeGreaterThan(0);
    await expect(call).rejects.toThrow(/^(unavailable|shut_down)/);
    gate.open();
    await until(() => cluster.at(1).endpoint.runningCount === 0);
  });

  test('members that have left are not waited for', async () => {
    await using cluster = await startCluster({ workers: 3, transport });
    await cluster.at(0).shutdown({ graceful: false });
    await until(() => cluster.at(1).members.live().length === 2);
    await until(() => cluster.at(2).members.live().length === 2);
    const reports = [1, 2].map((rank) => cluster.at(rank).shutdown({ timeoutMs: 5_000 }));
    expect(await Promise.all(reports)).toEqual([CLEAN, CLEAN]);
  });

  test('the next keeps the meeting when who kept it leaves', async () => {
    await using cluster = await startCluster({ workers: 3, transport });
    const leaving = [1, 2].map((rank) => cluster.at(rank).shutdown({ timeoutMs: 5_000 }));
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    await cluster.at(0).shutdown({ graceful: false });
    expect(await Promise.all(leaving)).toEqual([CLEAN, CLEAN]);
  });

  test('a barrier waits for all, and each set of names has its own', async () => {
    await using cluster = await startCluster({ workers: 3, transport });
    const passed: number[] = [];
    const pass = async (rank: number, names?: string[]): Promise<void> => {
      await cluster.at(rank).barrier(names);
      passed.push(rank);
    };
    const all = [pass(0), pass(1)];
    await Promise.all([pass(0, ['worker2', 'worker0']), pass(2, ['worker0', 'worker2'])]);
    await pass(1, ['worker1']);
    expect(passed.sort()).toEqual([0, 1, 2]);
    await Promise.all([...all, pass(2)]);
    await Promise.all([pass(2), pass(1), pass(0)]);
    expect(passed.length).toBe(9);
    await expect(cluster.at(0).barrier(['worker1'])).rejects.toThrow(/^invalid_argument/);
    await expect(cluster.at(0).barrier([])).rejects.toThrow(/^invalid_argument/);
    await expect(cluster.at(0).barrier(['nobody'])).rejects.toThrow(/^unknown_worker/);
  });

  test('a barrier that is not reached ends in time, or when one is gone', async () => {
    await using cluster = await startCluster({ workers: 3, transport });
    const [a, b, c] = [cluster.at(0), cluster.at(1), cluster.at(2)];
    await expect(b.barrier(undefined, { timeoutMs: 30 })).rejects.toThrow(/^deadline_exceeded/);
    const others = [
      a.barrier(['worker0', 'worker1', 'worker2']),
      a.barrier(['worker0', 'worker2']),
    ];
    for (const barrier of others) barrier.catch(() => {});
    await c.shutdown({ graceful: false });
    for (const barrier of others) {
      await expect(barrier).rejects.toThrow(/^unavailable: worker2 is gone/);
    }
    await expect(b.barrier(['worker1', 'worker2'])).rejects.toThrow(/^unavailable/);
    // No arrival is left behind: both leave at once.
    expect(await Promise.all([a.shutdown(), b.shutdown()])).toEqual([CLEAN, CLEAN]);
  });
});
