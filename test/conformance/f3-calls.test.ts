/** What PyTorch RPC checks of itself, theme F3: plain calls that come late. */
import { describe, expect, test } from '@jest/globals';
import { faultyAgent } from '../../testing/index.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import { add } from '../support/services.ts';

describe.each(TRANSPORTS)('%s', (transport) => {
  test('test_rpc_builtin_timeout: limits of the call and of the worker are those that count', async () => {
    const { chaos } = faultyAgent({ messagesToDelay: { PYTHON_CALL: 300 } });
    await using cluster = await startCluster({ transport, chaos });
    const worker = cluster.at(0);
    const soon = { timeoutMs: 100 };
    await expect(worker.rpcSync(1, add, [1, 2], soon)).rejects.toThrow(/^deadline_exceeded/);
    await expect(worker.rpcAsync(1, add, [1, 2], soon)).rejects.toThrow(/^deadline_exceeded/);
    expect(await worker.rpcSync(1, add, [1, 2])).toBe(3);
    worker.setTimeoutMs(1);
    await expect(worker.rpcSync(1, add, [1, 2])).rejects.toThrow(/^deadline_exceeded/);
    // The peer's 0 is Infinity here.
    const endless = { timeoutMs: Number.POSITIVE_INFINITY };
    expect(await worker.rpcSync(1, add, [1, 2], endless)).toBe(3);
    worker.setTimeoutMs(60_000);
  });
});
