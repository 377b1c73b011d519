import { describe, expect, test } from '@jest/globals';
import { waitAllWorkers } from '../../rpc/api.ts';
import { init } from '../../rpc/init.ts';
import { register } from '../../rpc/registry.ts';
import { MemoryTransport } from '../../rpc/transport-memory.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import { expectNoLeak } from '../support/leaks.ts';
import { held, newGate } from '../support/services.ts';
import { until } from '../support/until.ts';

async function waitHere(): Promise<void> {
  await waitAllWorkers({ timeoutMs: 1_000 });
}
register({ waitHere });

describe.each(TRANSPORTS)('%s', (transport) => {
  test('waits while anybody works, wherever', async () => {
    await using cluster = await startCluster({ workers: 3, transport });
    const gate = newGate();
    const call = cluster.at(0).rpcAsync(1, held, ['x']);
    await until(() => gate.arrived === 1);
    const early = cluster.workers.map((worker) => worker.waitAllWorkers({ timeoutMs: 50 }));
    for (const wait of early) await expect(wait).rejects.toThrow(/^deadline_exceeded/);
    const waits = cluster.workers.map((worker) => worker.waitAllWorkers({ timeoutMs: 10_000 }));
    gate.open();
    await Promise.all([...waits, call]);
  });

  test('who is gone is not waited for, also who kept the meeting', async () => {
    for (const leaver of [0, 2]) {
      await using cluster = await startCluster({ workers: 3, transport });
      const others = cluster.workers.filter(({ info }) => info.id !== leaver);
      const waits = others.map((worker) => worker.waitAllWorkers({ timeoutMs: 10_000 }));
      for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
      await cluster.at(leaver).shutdown({ graceful: false });
      await Promise.all(waits);
      await Promise.all(others.map((worker) => worker.waitAllWorkers({ timeoutMs: 10_000 })));
    }
  });

  test('ends when this worker leaves, whose report counts it and a barrier', async () => {
    await using cluster = await startCluster({ transport });
    const wait = cluster.at(1).waitAllWorkers();
    const barrier = cluster.at(1).barrier();
    for (const pending of [wait, barrier]) pending.catch(() => {});
    const report = await cluster.at(1).shutdown({ timeoutMs: 30 });
    expect(report).toEqual({ drained: false, cancelled: 2, dead: [], leaked: [] });
    await expect(wait).rejects.toThrow(/^shut_down/);
    await expect(barrier).rejects.toThrow(/^shut_down/);
    await expect(cluster.at(1).waitAllWorkers()).rejects.toThrow(/^shut_down/);
    expect(cluster.at(1).meetings).toBe(0);
  });

  test('is refused inside a handler, and with a limit that is none', async () => {
    await using cluster = await startCluster({ transport });
    const [a] = cluster.workers;
    await expect(a?.rpcSync(1, waitHere)).rejects.toThrow(/outside of handlers/);
    await expect(a?.waitAllWorkers({ timeoutMs: 0 })).rejects.toThrow(/^invalid_argument/);
  });
});

test('is refused in a dynamic group', async () => {
  await expectNoLeak(async () => {
    const options = { transport: new MemoryTransport(), engine: 'cpu', token: 'secret' } as const;
    await using worker = await init({ ...options, name: 'a', rank: 0 });
    await expect(worker.waitAllWorkers()).rejects.toThrow(/^invalid_argument.*rpc.barrier/);
  });
});
