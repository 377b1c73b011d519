/** What PyTorch RPC checks of itself, theme T11: the scope that waits for all, all-gather, barrier. */
import { describe, expect, test } from '@jest/globals';
import type { RpcFuture } from '../../rpc/future.ts';
import { register } from '../../rpc/registry.ts';
import { waitAll } from '../../rpc/wait-all.ts';
import { tf } from '../../tensor/index.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import { expectNoLeak } from '../support/leaks.ts';
import { add, fail, held, newGate } from '../support/services.ts';

class Count {
  #n = 0;

  increment(): number {
    return ++this.#n;
  }
}

let increments = 0;

function increment(): void {
  increments++;
}
register({ CountForWaitAll: Count, increment });

/** A call after a scope is of no scope: it may fail, or wait, unseen by it. */
async function expectNoState(call: () => RpcFuture<unknown>): Promise<void> {
  const after = call();
  expect(await waitAll(() => 5)).toBe(5);
  await after;
}

describe.each(TRANSPORTS)('%s', (transport) => {
  test('test_wait_all: calls made in the scope are done at its end', async () => {
    await using cluster = await startCluster({ transport });
    const worker = cluster.at(0);
    const futures: RpcFuture<number>[] = [];
    const result = await waitAll(() => {
      futures.push(worker.rpcAsync(1, add, [1, 2]));
      expect(futures[0]?.done()).toBe(false);
      return 'of the body';
    });
    expect(result).toBe('of the body');
    expect(futures.map((future) => future.value())).toEqual([3]);
    await expectNoState(() => worker.rpcAsync(1, add, [1, 2]));
  });

  test('test_wait_all_multiple_call: sync calls are not collected, those of references and callbacks are', async () => {
    await using cluster = await startCluster({ transport });
    const worker = cluster.at(0);
    using count = worker.remote(1, Count);
    const futures: RpcFuture<number>[] = [];
    await waitAll(async () => {
      for (let i = 0; i < 20; i++) {
        futures.push(worker.rpcAsync(1, add, [i, i]));
        futures.push(count.rpcAsync().increment());
        // Its failure is the caller's alone.
        await expect(worker.rpcSync(1, fail, ['range'])).rejects.toThrow(/^remote_error/);
      }
      void futures[0]?.then((value) => futures.push(worker.rpcAsync(1, add, [value, 1])));
    });
    expect(futures).toHaveLength(41);
    expect(futures.every((future) => future.done())).toBe(true);
  });

  test('test_wait_all_timeout: a call that times out fails the scope', async () => {
    await using cluster = await startCluster({ transport });
    const worker = cluster.at(0);
    const gate = newGate();
    const scope = waitAll(() => {
      void worker.rpcAsync(1, held, ['late'], { timeoutMs: 20 });
    });
    await expect(scope).rejects.toMatchObject({ code: 'deadline_exceeded' });
    await expectNoState(() => worker.rpcAsync(1, add, [1, 2]));
    gate.open();
  });

  test('test_wait_all_raise_in_user_func: a call that fails does so at once, others go on', async () => {
    await using cluster = await startCluster({ transport });
    const worker = cluster.at(0);
    const gate = newGate();
    const calls: RpcFuture<string>[] = [];
    const scope = waitAll(() => {
      calls.push(worker.rpcAsync(1, held, ['late']));
      void worker.rpcAsync(1, fail, ['range']);
      void worker.rpcAsync(1, fail, ['custom']);
    });
    await expect(scope).rejects.toMatchObject({ code: 'remote_error' });
    expect(calls[0]?.done()).toBe(false);
    await expectNoState(() => worker.rpcAsync(1, add, [1, 2]));
    gate.open();
    expect(await calls[0]).toBe('late');
  });

  test('test_wait_all_raise_in_body: what the body throws is the error', async () => {
    await using cluster = await startCluster({ transport });
    const worker = cluster.at(0);
    const scope = waitAll(() => {
      void worker.rpcAsync(1, fail, ['range']);
      throw new TypeError('of the body');
    });
    await expect(scope).rejects.toThrow(new TypeError('of the body'));
    await expectNoState(() => worker.rpcAsync(1, add, [1, 2]));
  });

  test('scopes nest: each waits for its own calls', async () => {
    await using cluster = await startCluster({ transport });
    const worker = cluster.at(0);
    const gate = newGate();
    const outer: RpcFuture<string>[] = [];
    await waitAll(async () => {
      outer.push(worker.rpcAsync(1, held, ['outer']));
      const inner = await waitAll(() => [worker.rpcAsync(1, add, [1, 2])]);
      expect([inner[0]?.done(), outer[0]?.done()]).toEqual([true, false]);
      const failing = waitAll(() => void worker.rpcAsync(1, fail, ['range']));
      await expect(failing).rejects.toThrow(/^remote_error/);
      gate.open();
    });
    expect(outer[0]?.value()).toBe('outer');
  });

  test('test_all_gather: every worker gets the same values by name', async () => {
    await using cluster = await startCluster({ workers: 4, transport });
    for (let round = 0; round < 3; round++) {
      const all = cluster.workers.map((worker) => worker.allGather(10 * round + worker.info.id));
      for (const values of await Promise.all(all)) {
        expect([...values]).toEqual([0, 1, 2, 3].map((id) => [`worker${id}`, 10 * round + id]));
      }
    }
    const pair = [cluster.at(3), cluster.at(1)];
    const some = pair.map((worker) =>
      worker.allGather({ of: worker.info }, ['worker3', 'worker1']),
    );
    for (const values of await Promise.all(some)) {
      expect([...values.keys()]).toEqual(['worker1', 'worker3']);
      expect(values.get('worker3')).toEqual({ of: cluster.at(3).info });
    }
    await expect(cluster.at(0).allGather(1, ['worker1'])).rejects.toThrow(/^invalid_argument/);
    await expect(cluster.at(0).allGather(() => 1)).rejects.toThrow(/^unsupported_value/);
  });

  test('all-gather of tensors gives each worker copies of its own', async () => {
    await using cluster = await startCluster({ workers: 3, transport });
    await expectNoLeak(async () => {
      const x = tf.tensor1d([1, 2]);
      const all = await Promise.all(cluster.workers.map((worker) => worker.allGather(x)));
      for (const values of all) {
        for (const copy of values.values()) {
          expect(await copy.data()).toEqual(new Float32Array([1, 2]));
          tf.dispose(copy);
        }
      }
      tf.dispose(x);
    });
  });

  test('test_all_gather_timeout: the leader names who did not come, and the next attempt is met', async () => {
    await using cluster = await startCluster({ workers: 3, transport, timeoutMs: 5_000 });
    const [leader, absent, follower] = [cluster.at(0), cluster.at(1), cluster.at(2)];
    const late = follower.allGather(2);
    await expect(leader.allGather(0, undefined, { timeoutMs: 40 })).rejects.toThrow(
      /^deadline_exceeded: waited at allGather for worker1.* for 40 ms/,
    );
    const values = await Promise.all([leader.allGather(0), absent.allGather(1), late]);
    expect(values.map((map) => [...map.values()])).toEqual(Array(3).fill([0, 1, 2]));
    await expect(follower.allGather(2, undefined, { timeoutMs: 40 })).rejects.toMatchObject({
      code: 'deadline_exceeded',
    });
  });

  test('all-gather fails when one is gone', async () => {
    await using cluster = await startCluster({ workers: 3, transport });
    const waiting = [0, 1].map((rank) => cluster.at(rank).allGather(rank));
    await cluster.at(2).shutdown({ graceful: false });
    for (const all of waiting) await expect(all).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('test_rpc_barrier_all: what came before it on any worker is seen after it', async () => {
    await using cluster = await startCluster({ workers: 4, transport });
    increments = 0;
    const seen = cluster.workers.map(async (worker) => {
      await worker.rpcSync(0, increment);
      await worker.barrier();
      return increments;
    });
    expect(await Promise.all(seen)).toEqual([4, 4, 4, 4]);
  });

  test('test_rpc_barrier_subset, test_rpc_barrier_partial_subset: groups of workers meet apart', async () => {
    await using cluster = await startCluster({ workers: 4, transport });
    const name = (rank: number): string => `worker${rank}`;
    const apart = cluster.workers.map((worker) =>
      worker.barrier([0, 1, 2, 3].filter((rank) => rank % 2 === worker.info.id % 2).map(name)),
    );
    await Promise.all(apart);
    const partial = cluster.workers.map((worker) => {
      const { id } = worker.info;
      return worker.barrier(id % 2 === 1 ? ['worker1', 'worker3'] : [name(id)]);
    });
    await Promise.all(partial);
  });
});
