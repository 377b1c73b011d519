/** What PyTorch RPC checks of itself, theme F1: options of the agent that injects faults. */
import { describe, expect, test } from '@jest/globals';
import { faultyAgent } from '../../testing/index.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import { add } from '../support/services.ts';

describe.each(TRANSPORTS)('%s', (transport) => {
  test('test_custom_faulty_messages: the messages that the options name fail, and no others', async () => {
    const { chaos } = faultyAgent({ messagesToFail: ['PYTHON_CALL'], numFailSends: 1 });
    await using cluster = await startCluster({ transport, chaos });
    const worker = cluster.at(0);
    await expect(worker.rpcSync(1, add, [1, 2])).rejects.toThrow(/^unavailable: .*injected/);
    using sum = worker.remote(1, add, [1, 2]);
    expect(await sum.toHere()).toBe(3);
    expect(await worker.rpcSync(1, add, [1, 2])).toBe(3);
    expect(chaos.injected.map(({ kind, action }) => [kind, action])).toEqual([['call', 'fail']]);
  });
});
