/** Time limits as PyTorch's rpc_test.py holds them: the default, and creations. */
import { describe, expect, test } from '@jest/globals';
import type { GradwireError } from '../../errors.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import { held, newGate } from '../support/services.ts';
import { until } from '../support/until.ts';

const NO_LIMIT = Number.POSITIVE_INFINITY;

describe.each(TRANSPORTS)('%s', (transport) => {
  test('test_default_timeout_used: a new default is that of later calls alone', async () => {
    await using cluster = await startCluster({ transport });
    const gate = newGate();
    const a = cluster.at(0);
    expect(a.timeoutMs).toBe(60_000);
    a.setTimeoutMs(1);
    expect(a.timeoutMs).toBe(1);
    const calls = (): Promise<string>[] =>
      Array.from({ length: 10 }, () => a.rpcAsync(1, held, ['x']));
    const early = calls();
    // Raised: what was sent before still times out.
    a.setTimeoutMs(200_000);
    const late = calls();
    const outcomes = await Promise.allSettled(early);
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'deadline_exceeded' } });
    }
    // Lowered again: what was sent before is not touched.
    a.setTimeoutMs(1);
    await expect(a.rpcSync(1, held, ['x'])).rejects.toThrow(/^deadline_exceeded/);
    // No limit, of the default and of one call: PyTorch writes 0.
    const patient = a.rpcAsync(1, held, ['x'], { timeoutMs: NO_LIMIT });
    a.setTimeoutMs(NO_LIMIT);
    const alsoPatient = a.rpcAsync(1, held, ['x']);
    await until(() => gate.arrived >= 12);
    gate.open();
    expect(await Promise.all([...late, patient, alsoPatient])).toEqual(Array(12).fill('x'));
    expect(() => a.setTimeoutMs(0)).toThrow(/^invalid_argument: timeoutMs 0/);
  });

  test('test_rref_timeout: a creation that took too long fails every use, and was made', async () => {
    await using cluster = await startCluster({ transport });
    const gate = newGate();
    const [a, b] = [cluster.at(0), cluster.at(1)];
    using rref = a.remote(1, held, ['x'], { timeoutMs: 10 });
    await until(() => a.endpoint.waitingCount === 0 && gate.arrived === 1);
    const error: GradwireError = await rref.toHere().then(
      () => undefined as never,
      (reason) => reason,
    );
    expect(error).toMatchObject({ code: 'deadline_exceeded', maybeExecuted: true });
    expect(error.message).toMatch(/worker1 did not answer held within 10 ms/);
    gate.open();
    await until(() => b.endpoint.runningCount === 0);
    expect(b.references.ownedCount).toBe(1);
    expect(a.references.copyCount).toBe(1);
  });
});
