/** What PyTorch RPC checks of itself, theme T12: time limits. */
import { describe, expect, test } from '@jest/globals';
import { getRpcTimeoutMs, setRpcTimeoutMs } from '../../rpc/api.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import { add, held, newGate } from '../support/services.ts';
import { until } from '../support/until.ts';

describe.each(TRANSPORTS)('%s', (transport) => {
  test('test_set_and_get_default_rpc_timeout: the limit of the options is the one that is used', async () => {
    await using cluster = await startCluster({ transport, timeoutMs: 5_600 });
    for (const worker of cluster.workers) {
      expect(worker.timeoutMs).toBe(5_600);
      expect(worker.run(getRpcTimeoutMs)).toBe(5_600);
    }
    cluster.at(0).run(() => setRpcTimeoutMs(7_000));
    expect(cluster.workers.map(({ timeoutMs }) => timeoutMs)).toEqual([7_000, 5_600]);
  });

  test('test_tensorpipe_set_default_timeout: a minute where nobody says otherwise', async () => {
    await using cluster = await startCluster({ transport });
    expect(cluster.at(0).timeoutMs).toBe(60_000);
  });

  test('test_tensorpipe_options_throw_on_timedelta_timeout: a limit that is none is refused', async () => {
    await using cluster = await startCluster({ transport, workers: 1 });
    for (const timeoutMs of [{ seconds: 1 }, '5', -1, 0, Number.NaN] as number[]) {
      const start = startCluster({ transport, workers: 1, timeoutMs });
      await expect(start).rejects.toThrow(/^invalid_argument: timeoutMs/);
      expect(() => cluster.at(0).setTimeoutMs(timeoutMs)).toThrow(/^invalid_argument: timeoutMs/);
    }
    expect(cluster.at(0).timeoutMs).toBe(60_000);
  });

  test('test_default_timeout_used: a new limit is that of new calls alone; Infinity is none', async () => {
    await using cluster = await startCluster({ transport, timeoutMs: 20 });
    const worker = cluster.at(0);
    const gate = newGate();
    const early = Array.from({ length: 10 }, () => worker.rpcAsync(1, held, ['early']));
    worker.setTimeoutMs(60_000);
    const long = worker.rpcAsync(1, held, ['long']);
    for (const call of early) {
      await expect(call).rejects.toThrow(/^deadline_exceeded: .* within 20 ms/);
    }
    worker.setTimeoutMs(Number.POSITIVE_INFINITY);
    const endless = worker.rpcAsync(1, held, ['endless']);
    worker.setTimeoutMs(20);
    await expect(worker.rpcSync(1, held, ['late'])).rejects.toThrow(/^deadline_exceeded/);
    const own = worker.rpcAsync(1, held, ['own'], { timeoutMs: 60_000 });
    expect([long, endless, own].map((call) => call.done())).toEqual([false, false, false]);
    gate.open();
    expect(await Promise.all([long, endless, own])).toEqual(['long', 'endless', 'own']);
    expect(await worker.rpcSync(1, add, [1, 1], { timeoutMs: 5_000 })).toBe(2);
  });

  test('test_rref_timeout: a creation that takes too long has failed here, and happens there', async () => {
    await using cluster = await startCluster({ transport });
    const gate = newGate();
    using rref = cluster.at(0).remote(1, held, ['made'], { timeoutMs: 20 });
    await until(() => cluster.at(0).endpoint.waitingCount === 0);
    await expect(rref.toHere()).rejects.toThrow(
      /^deadline_exceeded: worker1 did not answer held within 20 ms; it may still run there/,
    );
    gate.open();
    await until(() => cluster.at(1).endpoint.runningCount === 0);
    expect(cluster.at(1).references.ownedCount).toBe(1);
  });
});
