/** What one peer may make a worker hold (T12). */
import { expect, test } from '@jest/globals';
import { shareOf } from '../../autograd/plugin.ts';
import { autograd } from '../../index.ts';
import { peerLimits } from '../../rpc/peer-limits.ts';
import { register } from '../../rpc/registry.ts';
import type { RRef } from '../../rpc/rref.ts';
import { startCluster } from '../support/cluster.ts';
import { add } from '../support/services.ts';
import { until } from '../support/until.ts';

let open: (() => void)[] = [];
function waiting(): Promise<void> {
  return new Promise((resolve) => open.push(resolve));
}
class Thing {}
register({ waiting, Thing });

const EASY = { transport: 'memory', maxPeerCalls: 3, maxPeerReferences: 2 } as const;

test('calls of one peer that are under way', async () => {
  open = [];
  await using cluster = await startCluster({ ...EASY, workers: 3 });
  const calls = Array.from({ length: 3 }, () => cluster.at(1).rpcSync(0, waiting));
  await until(() => open.length === 3);
  const refused = cluster.at(1).rpcSync(0, add, [1, 2]);
  await expect(refused).rejects.toMatchObject({ code: 'overloaded', maybeExecuted: false });
  await expect(refused).rejects.toThrow(/calls of worker1 are 3, .*\(maxPeerCalls\)/);
  // Others are not concerned.
  expect(await cluster.at(2).rpcSync(0, add, [1, 2])).toBe(3);
  for (const end of open) end();
  await Promise.all(calls);
  expect(await cluster.at(1).rpcSync(0, add, [1, 2])).toBe(3);
});

test('references of one peer', async () => {
  await using cluster = await startCluster({ ...EASY, workers: 3 });
  const made: RRef<Thing>[] = [];
  const make = async (rank: number): Promise<void> => {
    const thing = cluster.at(rank).remote('worker0', Thing);
    try {
      await thing.toHere().catch((error) => {
        if (error.code !== 'unsupported_value') throw error;
      });
      made.push(thing);
    } catch (error) {
      thing.dispose();
      throw error;
    }
  };
  await make(1);
  await make(1);
  await expect(make(1)).rejects.toThrow(/maxPeerReferences|never made|has been freed/);
  await make(2);
  made.shift()?.dispose();
  await until(() => cluster.at(0).references.ownedCount === 2);
  await make(1);
  for (const thing of made) thing.dispose();
});

test('contexts that one peer brings', async () => {
  await using cluster = await startCluster({
    ...{ transport: 'memory', maxPeerContexts: 1 },
    workers: 3,
  });
  open = [];
  const bring = (
    rank: number,
    meanwhile: () => Promise<void> = async () => {},
  ): Promise<number> => {
    const worker = cluster.at(rank);
    return worker.run(() =>
      autograd.context(async () => {
        const sum = await worker.rpcSync(0, add, [1, 2]);
        await meanwhile();
        return sum;
      }),
    );
  };
  const first = bring(1, waiting);
  await until(() => open.length === 1);
  const refused = bring(1);
  await expect(refused).rejects.toMatchObject({ code: 'overloaded', maybeExecuted: false });
  await expect(refused).rejects.toThrow(
    /autograd contexts of worker1 are 1, .*\(maxPeerContexts\)/,
  );
  // Others are not concerned, and neither is who has ended one.
  expect(await bring(2)).toBe(3);
  open[0]?.();
  expect(await first).toBe(3);
  await until(() => shareOf(cluster.at(0))?.contexts.size === 0);
  expect(await bring(1)).toBe(3);
});

test('are numbers from 1 on', () => {
  expect(peerLimits({ maxPeerCalls: Number.POSITIVE_INFINITY }).maxPeerCalls).toBe(Infinity);
  for (const bad of [0, -1, 1.5, Number.NaN, '5' as never]) {
    expect(() => peerLimits({ maxPeerContexts: bad })).toThrow(
      /^invalid_argument: maxPeerContexts/,
    );
  }
});
