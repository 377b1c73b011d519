/** References and what would save them. The names are those of the peer's own tests. */
import { serialize } from 'node:v8';
import { MessageChannel } from 'node:worker_threads';
import { describe, expect, test } from '@jest/globals';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import { add, fetchFrom } from '../support/services.ts';

describe.each(TRANSPORTS)('%s', (transport) => {
  test('test_rref_py_pickle_not_supported: only calls may carry a reference', async () => {
    await using cluster = await startCluster({ transport });
    using rref = cluster.at(0).remote(1, add, [1, 2]);
    const message = new RegExp(
      `^unsupported_value: ${rref} cannot be JSON: a reference travels in rpc calls alone`,
    );
    for (const value of [rref, { deep: [rref] }]) {
      expect(() => JSON.stringify(value)).toThrow(message);
      const clone = /an RRef, which travels in rpc calls alone,\) could not be cloned/;
      expect(() => structuredClone(value)).toThrow(clone);
      expect(() => serialize(value)).toThrow(clone);
      const { port1, port2 } = new MessageChannel();
      expect(() => port1.postMessage(value)).toThrow(clone);
      port1.close();
      port2.close();
    }
    expect(await cluster.at(0).rpcSync(1, fetchFrom, [rref])).toBe(3);
  });
});
