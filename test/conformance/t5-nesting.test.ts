/** What PyTorch RPC checks of itself, theme T5: nesting, stress, termination. */
import { describe, expect, test } from '@jest/globals';
import { rpcSync } from '../../rpc/api.ts';
import { register } from '../../rpc/registry.ts';
import { tf } from '../../tensor/index.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import { expectNoLeak } from '../support/leaks.ts';
import { add, held, newGate, visits, wander } from '../support/services.ts';
import { until } from '../support/until.ts';

/** Adds where the call came from. */
async function addAt(caller: string, a: number, b: number): Promise<number> {
  return await rpcSync(caller, add, [a, b]);
}

function zero(): number {
  return 0;
}

/** A hundred rounds of work that change nothing. */
function heavy(x: tf.Tensor): tf.Tensor {
  const two = tf.scalar(2);
  let y = x;
  for (let i = 0; i < 100; i++) y = tf.div(tf.mul(y, two), two);
  return y;
}
register({ addAt, zero, heavy });

describe.each(TRANSPORTS)('%s', (transport) => {
  test('test_nested_rpc: the callee calls back inside of the call', async () => {
    await using cluster = await startCluster({ transport });
    expect(await cluster.at(0).rpcSync(1, addAt, ['worker0', 2, 3])).toBe(5);
  });

  test('test_stress_light_rpc: a thousand calls at once', async () => {
    await using cluster = await startCluster({ transport });
    const calls = Array.from({ length: 1000 }, () => cluster.at(0).rpcAsync(1, zero));
    expect(new Set(await Promise.all(calls))).toEqual(new Set([0]));
  });

  test('test_stress_heavy_rpc: twenty calls that compute', async () => {
    await using cluster = await startCluster({ transport });
    await expectNoLeak(async () => {
      const x = tf.ones([100, 100]);
      const calls = Array.from({ length: 20 }, () => cluster.at(0).rpcAsync(1, heavy, [x]));
      for (const y of await Promise.all(calls)) {
        expect(y.dataSync().every((value) => value === 1)).toBe(true);
        tf.dispose(y);
      }
      tf.dispose(x);
    });
  });

  test('test_multi_layer_nested_async_rpc: shutdown waits for a chain that nobody waits for', async () => {
    visits.length = 0;
    {
      await using cluster = await startCluster({ workers: 4, transport });
      for (const worker of cluster.workers) {
        const { id } = worker.info;
        const path = Array.from({ length: 20 }, (_, i) => `worker${(id + 1 + i) % 4}`);
        void worker.rpcAsync(path[0] as string, wander, [path.slice(1)]);
      }
    }
    expect(visits).toHaveLength(80);
  });

  test('test_deadlock: other groups start while one waits for a slow call', async () => {
    await using cluster = await startCluster({ transport });
    const gate = newGate();
    const slow = cluster.at(0).rpcAsync(1, held, ['late']);
    await until(() => gate.arrived === 1);
    {
      await using other = await startCluster({ workers: 3, transport });
      await Promise.all(other.workers.map((worker) => worker.barrier()));
    }
    gate.open();
    expect(await slow).toBe('late');
  });
});
