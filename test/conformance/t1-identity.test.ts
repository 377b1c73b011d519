/** What PyTorch RPC checks of itself, theme T1: worker identity and addressing. */
import { describe, expect, test } from '@jest/globals';
import { currentWorker } from '../../rpc/current.ts';
import { register } from '../../rpc/registry.ts';
import type { RRef } from '../../rpc/rref.ts';
import { WorkerInfo } from '../../rpc/worker-info.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import { add, echo } from '../support/services.ts';

/** What each worker was told last, by its name. */
const told = new Map<string, number>();

function tell(rank: number): void {
  told.set(currentWorker().info.name, rank);
}

/** The owner of a reference as another worker sees it. */
function ownerOf(rref: RRef<number>): WorkerInfo {
  using mine = rref;
  return mine.owner();
}
register({ tellRank: tell, ownerOf });

describe.each(TRANSPORTS)('%s', (transport) => {
  test('test_get_worker_infos: exactly the names and ids of the group', async () => {
    await using cluster = await startCluster({ workers: 4, transport });
    for (const worker of cluster.workers) {
      const infos = worker.getWorkerInfos();
      expect(infos.map(({ id }) => id)).toEqual([0, 1, 2, 3]);
      expect(infos.map(({ name }) => name)).toEqual(['worker0', 'worker1', 'worker2', 'worker3']);
    }
  });

  test('test_send_to_rank: a rank is a peer in each mode, and one that is none is an error', async () => {
    await using cluster = await startCluster({ workers: 2, transport });
    const worker = cluster.at(0);
    expect(await worker.rpcSync(1, add, [1, 2])).toBe(3);
    expect(await worker.rpcAsync(1, add, [1, 2])).toBe(3);
    using rref = worker.remote(1, add, [1, 2]);
    expect(await rref.toHere()).toBe(3);
    const faults = [
      [2, 'unknown_worker'],
      [-1, 'unknown_worker'],
      [0.5, 'invalid_argument'],
    ] as const;
    for (const [rank, code] of faults) {
      await expect(worker.rpcSync(rank, add, [1, 2])).rejects.toMatchObject({ code });
      const fault = expect.objectContaining({ code });
      expect(() => worker.rpcAsync(rank, add, [1, 2])).toThrow(fault as unknown as Error);
      expect(() => worker.remote(rank, add, [1, 2])).toThrow(fault as unknown as Error);
    }
  });

  test('test_worker_info_pickle: an info comes back equal', async () => {
    await using cluster = await startCluster({ workers: 2, transport });
    const { info } = cluster.at(0);
    const back = await cluster.at(0).rpcSync(1, echo<WorkerInfo>, [info]);
    expect(back).toEqual(info);
    expect(back).toBeInstanceOf(WorkerInfo);
    expect(cluster.at(1).getWorkerInfo(back)).toEqual(info);
  });

  test('test_owner_equality: owners compare, and are keys', async () => {
    await using cluster = await startCluster({ workers: 3, transport });
    const worker = cluster.at(0);
    using a = worker.remote(1, add, [1, 1]);
    using b = worker.remote(1, add, [1, 2]);
    using c = worker.remote(2, add, [1, 3]);
    using own = worker.remote(0, add, [1, 4]);
    expect(a.owner()).toBe(b.owner());
    expect(a.owner()).not.toEqual(c.owner());
    expect(a.owner()).not.toEqual(1);
    expect(own.owner()).toBe(worker.info);
    expect(new Map([a, b, c].map((rref) => [rref.owner(), rref])).size).toBe(2);
    expect(await worker.rpcSync(2, ownerOf, [a])).toEqual(b.owner());
    await Promise.all([a, b, c, own].map((rref) => rref.toHere()));
  });

  test('test_expected_src: a function runs where it is sent', async () => {
    await using cluster = await startCluster({ workers: 3, transport });
    const ring = cluster.workers.map((worker) =>
      worker.rpcSync((worker.info.id + 1) % 3, tell, [worker.info.id]),
    );
    await Promise.all(ring);
    expect([0, 1, 2].map((rank) => told.get(`worker${rank}`))).toEqual([2, 0, 1]);
  });
});

test('test_invalid_names: a name is checked, and each fault has its message', () => {
  for (const name of ['a*', 'a b', 'ü', ' ', 'a\n']) {
    expect(() => new WorkerInfo(name, 0)).toThrow(/^invalid_argument: .*letters, digits, _ : -/);
  }
  expect(() => new WorkerInfo('', 0)).toThrow(/must not be empty/);
  expect(() => new WorkerInfo('x'.repeat(128), 0)).toThrow(/1 to 127 characters long, not 128/);
  expect(new WorkerInfo('x'.repeat(127), 0).name).toHaveLength(127);
});
