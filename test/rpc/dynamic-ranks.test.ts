/** Ranks and names of a dynamic group: one holder at a time, and what belonged to the last one stays with it. */
import { describe, expect, test } from '@jest/globals';
import { register } from '../../rpc/registry.ts';
import type { WorkerNode } from '../../rpc/worker.ts';
import { TRANSPORTS } from '../support/cluster.ts';
import { DynamicCluster, seenBy } from '../support/dynamic.ts';
import { add, echo, held, newGate } from '../support/services.ts';
import { until } from '../support/until.ts';

class Box {
  readonly #value: number;
  constructor(value: number) {
    this.#value = value;
  }
  read(): number {
    return this.#value;
  }
}
register({ Box });

describe.each(TRANSPORTS)('%s', (transport) => {
  test('a rank or name that is taken is refused, and free when its holder has left', async () => {
    await using group = await DynamicCluster.make({ transport });
    await group.grow(2);
    await expect(group.join(1, { name: 'other' })).rejects.toMatchObject({
      code: 'duplicate_rank',
      message: 'duplicate_rank: rank 1 is taken by worker1',
    });
    await expect(group.join(2, { name: 'worker1' })).rejects.toMatchObject({
      code: 'duplicate_name',
      message: 'duplicate_name: the name worker1 is taken by rank 1',
    });
    await expect(group.join(0)).rejects.toMatchObject({ code: 'address_in_use' });
    for (const [rank, name] of [
      [1, 'worker1'],
      [1, 'other'],
      [5, 'worker1'],
    ] as const) {
      await group.at(1).shutdown();
      const next = await group.join(rank, { name });
      expect(await group.at(0).rpcSync(name, echo<number>, [rank])).toBe(rank);
      expect(seenBy(group.at(0))).toEqual(['worker0', name]);
      await next.shutdown();
    }
  });

  test('the info of one that has left does not speak for the next of its name', async () => {
    await using group = await DynamicCluster.make({ transport });
    await group.grow(2);
    const old = group.at(0).getWorkerInfo(1);
    await group.at(1).shutdown();
    const next = await group.join(1);
    const reused = /^unknown_worker: the info is of another worker that was named worker1 before/;
    await expect(group.at(0).rpcSync(old, add, [1, 2])).rejects.toThrow(reused);
    expect(() => group.at(0).remote(old, Box, [1])).toThrow(reused);
    expect(await group.at(0).rpcSync(group.at(0).getWorkerInfo(1), add, [1, 2])).toBe(3);
    await next.shutdown();
  });

  test('who wants the rank of one that is leaving waits until it has left', async () => {
    await using group = await DynamicCluster.make({ transport });
    await group.grow(3);
    const gate = newGate();
    const call = group.at(2).rpcAsync(1, held, ['done']);
    await until(() => gate.arrived === 1);
    const leaving = group.at(1).shutdown();
    await until(() => seenBy(group.at(0)).length === 2 && seenBy(group.at(2)).length === 2);
    await expect(group.join(1, { initTimeoutMs: 100 })).rejects.toThrow(/^init_timeout.*leaving/);
    let isIn = false;
    const next = group.join(1).finally(() => {
      isIn = true;
    });
    expect(await group.at(0).rpcSync(2, add, [1, 1])).toBe(2);
    expect(isIn).toBe(false);
    gate.open();
    expect([await call, await leaving]).toEqual([
      'done',
      { drained: true, cancelled: 0, dead: [], leaked: [] },
    ]);
    expect(await (await next).rpcSync(2, add, [1, 1])).toBe(2);
  });

  test('references to the last holder of a rank are refused, and its successor is not disturbed', async () => {
    await using group = await DynamicCluster.make({ transport });
    await group.grow(3);
    const [first, third] = [group.at(0), group.at(2)];
    const old = first.remote(1, Box, [1]);
    const copy = await first.rpcSync(2, echo<typeof old>, [old]);
    expect(await copy.rpcSync().read()).toBe(1);
    await group.at(1).shutdown();
    await group.join(1);
    const young = third.remote(1, Box, [2]);
    await expect(old.rpcSync().read()).rejects.toMatchObject({
      code: 'owner_died',
      peer: 'worker1',
      maybeExecuted: false,
    });
    await expect(old.toHere()).rejects.toThrow(/^owner_died: worker1, which owned the object/);
    old.dispose();
    copy.dispose();
    expect(await young.rpcSync().read()).toBe(2);
    young.dispose();
    await until(() => group.at(1).references.ownedCount === 0);
    // Ids of the two never meet.
    expect(group.at(1).references.newId()).not.toMatch(/^1\.\d{1,6}$/);
  });

  test('a barrier is passed by those that are there, however often others have met', async () => {
    await using group = await DynamicCluster.make({ transport });
    await group.grow(3);
    const meet = (workers: readonly WorkerNode[]): Promise<unknown> => {
      return Promise.all(workers.map((worker) => worker.barrier(undefined, { timeoutMs: 5_000 })));
    };
    for (let count = 0; count < 3; count++) await meet([group.at(0), group.at(1), group.at(2)]);
    await group.at(1).shutdown();
    await until(() => seenBy(group.at(0)).length === 2 && seenBy(group.at(2)).length === 2);
    await meet([group.at(0), group.at(2)]);
    await group.join(1);
    await meet([group.at(0), group.at(1), group.at(2)]);
    const names = ['worker1', 'worker2'];
    await Promise.all([group.at(1).barrier(names), group.at(2).barrier(names)]);
  });
});
