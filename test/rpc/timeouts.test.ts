import { describe, expect, test } from '@jest/globals';
import type { GradwireError } from '../../errors.ts';
import { register } from '../../rpc/registry.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import { add, held, newGate } from '../support/services.ts';
import { until } from '../support/until.ts';

class Slow {
  read(): Promise<string> {
    return held('read');
  }
}
register({ Slow });

describe.each(TRANSPORTS)('%s', (transport) => {
  test('a call without an answer fails when its time is over', async () => {
    await using cluster = await startCluster({ transport, timeoutMs: 30 });
    const gate = newGate();
    for (const options of [{}, { timeoutMs: 20 }]) {
      const error: GradwireError = await cluster
        .at(0)
        .rpcSync(1, held, ['x'], options)
        .catch((reason) => reason);
      expect(error).toMatchObject({
        code: 'deadline_exceeded',
        peer: 'worker1',
        stage: 'call',
        maybeExecuted: true,
      });
      expect(error.message).toMatch(/worker1 did not answer held within [23]0 ms/);
      expect(error.elapsedMs).toBeGreaterThanOrEqual(options.timeoutMs ?? 30);
    }
    const patient = cluster.at(0).rpcAsync(1, held, ['y'], { timeoutMs: Number.POSITIVE_INFINITY });
    expect(await cluster.at(0).rpcSync(1, add, [1, 1], { timeoutMs: 5_000 })).toBe(2);
    gate.open();
    expect(await patient).toBe('y');
  });

  test('a time limit that is none is refused', async () => {
    await using cluster = await startCluster({ transport });
    for (const timeoutMs of [0, -1, Number.NaN, '5' as never]) {
      expect(() => cluster.at(0).rpcAsync(1, add, [1, 1], { timeoutMs })).toThrow(
        /^invalid_argument: timeoutMs/,
      );
    }
  });

  test('methods and fetches have limits, and a creation that took too long fails every use', async () => {
    await using cluster = await startCluster({ transport });
    const gate = newGate();
    using slow = cluster.at(0).remote(1, Slow);
    await expect(slow.rpcSync({ timeoutMs: 20 }).read()).rejects.toThrow(/^deadline_exceeded/);
    using late = cluster.at(0).remote(1, held, ['late'], { timeoutMs: 40 });
    await expect(late.toHere({ timeoutMs: 20 })).rejects.toThrow(/did not answer toHere/);
    await until(() => cluster.at(0).endpoint.waitingCount === 0);
    await expect(late.toHere()).rejects.toThrow(/^deadline_exceeded: worker1 did not answer held/);
    gate.open();
    await until(() => cluster.at(1).endpoint.runningCount === 0);
    // The owner did make the object.
    expect(cluster.at(1).references.ownedCount).toBe(2);
  });

  test('when a peer is gone its callers hear of it at once, and later calls are refused', async () => {
    await using cluster = await startCluster({
      workers: 3,
      transport,
      leave: { timeoutMs: 3_000 },
    });
    const gate = newGate();
    const [a, b] = [cluster.at(0), cluster.at(1)];
    const call = a.rpcAsync(1, held, ['x'], { timeoutMs: 20_000 });
    const rref = a.remote(1, held, ['x'], { timeoutMs: 20_000 });
    await until(() => gate.arrived === 2);
    await b.shutdown({ graceful: false });
    await expect(call).rejects.toMatchObject({
      code: 'unavailable',
      peer: 'worker1',
      maybeExecuted: true,
    });
    expect(() => a.rpcAsync(1, add, [1, 1])).toThrow(/^unavailable: worker1 is gone: add was not/);
    expect(() => a.remote(1, add, [1, 1])).toThrow(/^unavailable/);
    await expect(rref.toHere()).rejects.toThrow(/^owner_died: worker1, which owned the object/);
    rref.dispose();
    expect(await a.rpcSync(2, add, [1, 1])).toBe(2);
    gate.open();
    await until(() => b.endpoint.runningCount === 0);
  });
});
