/** What PyTorch RPC checks of groups and their beginning (T2), by the names of its tests. */
import { describe, expect, test } from '@jest/globals';
import { GrpcTransport } from '../../rpc/grpc/transport.ts';
import { init } from '../../rpc/init.ts';
import type { InitOptions } from '../../rpc/options.ts';
import { register } from '../../rpc/registry.ts';
import { RRef } from '../../rpc/rref.ts';
import type { Transport } from '../../rpc/transport.ts';
import { MemoryTransport } from '../../rpc/transport-memory.ts';
import type { Worker } from '../../rpc/worker-api.ts';
import { freePort, startCluster, TRANSPORTS } from '../support/cluster.ts';
import { DynamicCluster, seenBy } from '../support/dynamic.ts';
import { add } from '../support/services.ts';
import { until } from '../support/until.ts';

class Cell {
  readonly #value: number;
  constructor(value: number) {
    this.#value = value;
  }
  read(): number {
    return this.#value;
  }
}
register({ Cell });

/** Sync, async and remote. */
async function works(from: Worker, to: number): Promise<void> {
  expect(await from.rpcSync(to, add, [1, 2])).toBe(3);
  expect(await from.rpcAsync(to, add, [2, 2])).toBe(4);
  using cell = from.remote(to, Cell, [5]);
  expect(await cell.rpcSync().read()).toBe(5);
}

describe.each(TRANSPORTS)('%s', (transport) => {
  async function group(worldSize: number): Promise<(rank: number, name?: string) => InitOptions> {
    const masterPort = await freePort();
    const common = { transport, worldSize, masterPort, engine: 'cpu', token: 't' } as const;
    return (rank, name = `w${rank}`) => ({ ...common, rank, name, initTimeoutMs: 10_000 });
  }

  test('test_register_rpc_backend_and_set_and_start_rpc_backend: a carrier of the user is used', async () => {
    const base = transport === 'grpc' ? new GrpcTransport() : new MemoryTransport();
    const started: number[] = [];
    const own: Transport = {
      name: 'own',
      start: (options) => {
        started.push(options.rank);
        return base.start(options);
      },
    };
    await using cluster = await startCluster({ transport: own });
    await works(cluster.at(0), 1);
    expect(started.sort()).toEqual([0, 1]);
  });

  test('test_duplicate_name: a name that is taken is refused', async () => {
    const options = await group(4);
    const waiting = [0, 1].map((rank) => init(options(rank)));
    await until(async () => {
      const scout = init({ ...options(3), initTimeoutMs: 50 });
      return ((await scout.catch((error) => error)) as Error).message.includes('joined: 0 (w0), 1');
    });
    await expect(init(options(2, 'w1'))).rejects.toMatchObject({ code: 'duplicate_name' });
    const workers = await Promise.all([...waiting, init(options(2)), init(options(3))]);
    await Promise.all(workers.map((worker) => worker.shutdown()));
  });

  test('test_reinit: a process may have several workers, but each rank is taken once', async () => {
    await using cluster = await startCluster({ transport: new MemoryTransport() });
    const options = await group(2);
    const workers = await Promise.all([0, 1].map((rank) => init(options(rank))));
    await expect(init(options(0))).rejects.toMatchObject({ code: 'address_in_use' });
    await expect(init(options(1))).rejects.toThrow(/^duplicate_rank: rank 1 is taken by w1/);
    // They, and another group in this process, have taken no harm.
    await works(workers[0] as Worker, 1);
    await works(cluster.at(1), 0);
    await Promise.all(workers.map((worker) => worker.shutdown()));
  });

  test('test_reinit: after shutdown, or after a failure, the same port serves again', async () => {
    const options = await group(2);
    for (const names of [
      ['a', 'b'],
      ['a', 'b'],
      ['b', 'c'],
    ]) {
      const hopeless = init({ ...options(0, names[0]), initTimeoutMs: 30 });
      await expect(hopeless).rejects.toThrow(/^init_timeout/);
      const workers = await Promise.all([0, 1].map((rank) => init(options(rank, names[rank]))));
      await works(workers[1] as Worker, 0);
      await Promise.all(workers.map((worker) => worker.shutdown()));
    }
  });

  test('test_world_size_one: a group of one calls itself', async () => {
    await using cluster = await startCluster({ workers: 1, transport });
    await works(cluster.at(0), 0);
  });

  test.each(['test_init_pg_then_rpc', 'test_init_rpc_then_pg'])(
    '%s: two runtimes with the same address work side by side',
    async (name) => {
      const options = await group(2);
      const transports = [transport, new MemoryTransport()];
      if (name === 'test_init_rpc_then_pg') transports.reverse();
      const groups = [];
      for (const carrier of transports) {
        const joining = [0, 1].map((rank) =>
          init({ ...options(rank), transport: carrier as never }),
        );
        groups.push(await Promise.all(joining));
      }
      for (const workers of groups) {
        await works(workers[0] as Worker, 1);
        await Promise.all(workers.map((worker) => worker.barrier()));
      }
      await Promise.all(groups.flat().map((worker) => worker.shutdown()));
    },
  );

  test('test_dist_init_decorator: the harness fails a test that leaves a reference', async () => {
    const cluster = await startCluster({ transport, leave: { graceful: false } });
    const ref = cluster.at(0).remote(1, Cell, [1]);
    await ref.rpcSync().read();
    await expect(cluster.unreferenced(() => {}, 50)).rejects.toThrow(/worker0 owns 0 objects and/);
    ref.dispose();
    await cluster.unreferenced();
    await cluster[Symbol.asyncDispose]();
  });

  test('test_dynamic_rpc_init_rpc: no world size, and all shut down with grace', async () => {
    await using group = await DynamicCluster.make({ transport });
    const workers = await group.grow(4);
    const reports = workers.map((worker) => worker.shutdown({ timeoutMs: 5_000 }));
    for (const report of await Promise.all(reports)) expect(report.drained).toBe(true);
  });

  test('test_dynamic_rpc_new_rank_can_communicated_with_existing_rank', async () => {
    await using group = await DynamicCluster.make({ transport });
    await group.join(0);
    for (const rank of [1, 2, 3]) await works(await group.join(rank), 0);
  });

  test('test_dynamic_rpc_existing_rank_can_communicate_with_new_rank', async () => {
    await using group = await DynamicCluster.make({ transport });
    const first = await group.join(0);
    await Promise.all([1, 2, 3].map((rank) => group.join(rank)));
    for (const rank of [1, 2, 3]) await works(first, rank);
    expect(seenBy(first)).toHaveLength(4);
  });

  test('test_dynamic_and_static_init_rpc_together: they do not mix', async () => {
    const options = await group(2);
    const workers = await Promise.all([0, 1].map((rank) => init(options(rank))));
    await expect(init({ ...options(2), worldSize: 'dynamic' })).rejects.toMatchObject({
      code: 'group_mismatch',
      message: expect.stringMatching(/but the group has one, 2: static and dynamic .* do not mix/),
    });
    await Promise.all(workers.map((worker) => worker.shutdown()));
    await using dynamic = await DynamicCluster.make({ transport });
    await dynamic.join(0);
    await expect(dynamic.join(1, { worldSize: 2 })).rejects.toMatchObject({
      code: 'group_mismatch',
      message: expect.stringMatching(/with world size 2, but the group is dynamic: static and/),
    });
    await dynamic.join(1);
  });
});

test('test_pg_init_no_rpc_init: a reference before init says what is missing', () => {
  expect(() => new RRef(1)).toThrow('not_initialized: no worker in this process: call rpc.init');
});

test.each(['test_wrong_types', 'test_mismatched_type_for_options'])(
  '%s: a carrier that is none, or options that are none, is refused at once',
  async (name) => {
    const transport = name === 'test_wrong_types' ? 'TENSORPIPE' : { rpcTimeout: 60 };
    const wrong = { name: 'w', rank: 0, worldSize: 1, transport } as unknown as InitOptions;
    await expect(init(wrong)).rejects.toThrow(/^invalid_argument: transport .* is neither/);
    await expect(init('w' as unknown as InitOptions)).rejects.toThrow(
      /^invalid_argument: init takes/,
    );
  },
);
