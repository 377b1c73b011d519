import { describe, expect, test } from '@jest/globals';
import { GrpcTransport } from '../../rpc/grpc/transport.ts';
import { init } from '../../rpc/init.ts';
import type { InitOptions } from '../../rpc/options.ts';
import type { Transport } from '../../rpc/transport.ts';
import { connectionPair, MemoryTransport } from '../../rpc/transport-memory.ts';
import type { WorkerNode } from '../../rpc/worker.ts';
import type { Worker } from '../../rpc/worker-api.ts';
import { freePort, startCluster, TRANSPORTS } from '../support/cluster.ts';
import { add } from '../support/services.ts';
import { until } from '../support/until.ts';

describe.each(TRANSPORTS)('%s', (transport) => {
  /** Options of a group of `worldSize` on a free port. */
  async function group(worldSize: number): Promise<(rank: number, name?: string) => InitOptions> {
    const masterPort = await freePort();
    const common = { transport, worldSize, masterPort, engine: 'cpu', token: 't' } as const;
    return (rank, name = `w${rank}`) => ({ ...common, rank, name, initTimeoutMs: 10_000 });
  }

  /** All that came to be leave at once. */
  async function leave(...workers: Worker[]): Promise<void> {
    await Promise.all(workers.map((worker) => worker.shutdown({ timeoutMs: 2_000 })));
  }

  test('the order in which workers start does not matter', async () => {
    const options = await group(3);
    const workers = [];
    for (const rank of [2, 1, 0]) {
      workers.push(init(options(rank)));
      for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
    }
    const ready = await Promise.all(workers);
    expect(ready.map((worker) => worker.getWorkerInfos().length)).toEqual([3, 3, 3]);
    await leave(...ready);
  });

  test('a group of one', async () => {
    await using cluster = await startCluster({ workers: 1, transport });
    await cluster.at(0).barrier();
    expect(await cluster.at(0).rpcSync(0, add, [1, 2])).toBe(3);
  });

  test('a name or rank that is taken is refused, and the group forms without it', async () => {
    const options = await group(4);
    const first = init(options(0));
    const second = init(options(1));
    // Who gives up hears who has joined.
    await until(async () => {
      const scout = init({ ...options(3), initTimeoutMs: 50 });
      const { message } = (await scout.catch((error) => error)) as Error;
      return message.includes('joined: 0 (w0), 1 (w1)');
    });
    await expect(init(options(1, 'other'))).rejects.toMatchObject({
      code: 'duplicate_rank',
      message: 'duplicate_rank: rank 1 is taken by w1',
      stage: 'init',
    });
    await expect(init(options(2, 'w1'))).rejects.toMatchObject({
      code: 'duplicate_name',
      message: 'duplicate_name: the name w1 is taken by rank 1',
    });
    await expect(init({ ...options(2), worldSize: 5 })).rejects.toMatchObject({
      code: 'group_mismatch',
      message: 'group_mismatch: w2 was started with world size 5, the master with 4',
    });
    await leave(...(await Promise.all([first, second, init(options(2)), init(options(3))])));
  });

  test('a second master finds the port taken', async () => {
    await using cluster = await startCluster({ transport, workers: 1 });
    const options = await group(1);
    const first = await init(options(0));
    await expect(init(options(0))).rejects.toMatchObject({ code: 'address_in_use' });
    await leave(first);
    await leave(await init(options(0)));
    expect(cluster.at(0).info.name).toBe('worker0');
  });

  test('who is missing is named when the time is over, and may come back', async () => {
    const options = await group(3);
    const impatient = { initTimeoutMs: 300 };
    const [master, second] = [
      init({ ...options(0), initTimeoutMs: 700 }),
      init({ ...options(1), ...impatient }),
    ];
    master.catch(() => {});
    await expect(second).rejects.toMatchObject({ code: 'init_timeout', stage: 'init' });
    await expect(second).rejects.toThrow(/for rank 2 of a group of 3; joined: 0 \(w0\), 1 \(w1\)/);
    await expect(master).rejects.toThrow(/rank 1, 2 of a group of 3; joined: 0 \(w0\)/);
    await expect(init({ ...options(1), ...impatient })).rejects.toThrow(/^init_timeout: .*rank 0/);
    await leave(...(await Promise.all([0, 1, 2].map((rank) => init(options(rank))))));
  });

  test('a worker that cannot reach one member is gone for all', async () => {
    const options = await group(3);
    const base = transport === 'grpc' ? new GrpcTransport() : new MemoryTransport();
    let isDialled = false;
    /** Reaches rank 1 only after it has failed to reach rank 0. */
    const lame: Transport = {
      name: 'lame',
      start: async (nodeOptions) => {
        const node = await base.start(nodeOptions);
        return {
          join: (timeoutMs) => node.join(timeoutMs),
          close: () => node.close(),
          dial: async (member, timeoutMs) => {
            if (member.rank === 0) throw new Error('no way');
            for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
            isDialled = true;
            return node.dial(member, timeoutMs);
          },
        };
      },
    };
    const impatient = { initTimeoutMs: 500 };
    const [first, second, third] = [
      init({ ...options(0), ...impatient, transport: base }),
      init({ ...options(1), ...impatient, transport: base }),
      init({ ...options(2), ...impatient, transport: lame }),
    ];
    first.catch(() => {});
    await expect(third).rejects.toThrow('no way');
    expect(isDialled).toBe(true);
    await expect(first).rejects.toThrow(/^init_timeout: w2 joined but did not connect/);
    const survivor = (await second) as WorkerNode;
    await until(() => !survivor.endpoint.isConnected(2));
    expect(() => survivor.rpcAsync(2, add, [1, 2])).toThrow(/^unavailable/);
    await leave(survivor);
  });

  test('a connection that comes after the end is closed', async () => {
    const worker = (await init((await group(1))(0))) as WorkerNode;
    await leave(worker);
    const [mine, theirs] = connectionPair(
      { rank: 0, incarnation: '' },
      { rank: 7, incarnation: '' },
    );
    let isOver = false;
    mine.start({
      data: () => {},
      drain: () => {},
      close: () => {
        isOver = true;
      },
    });
    worker.attach(theirs);
    await until(() => isOver);
    expect(worker.endpoint.isConnected(7)).toBe(false);
  });

  test('options that make no sense are refused before anything starts', async () => {
    const options = await group(2);
    await expect(init(undefined as never)).rejects.toThrow(/^invalid_argument/);
    await expect(init({ ...options(0), transport: {} as never })).rejects.toThrow(/transport/);
    await expect(init(options(2))).rejects.toThrow(/^invalid_argument: rank 2 is not between/);
    await expect(init(options(0, 'a b'))).rejects.toThrow(/^invalid_argument: the worker name/);
    await expect(init({ ...options(0), masterAddr: '10.0.0.1' })).rejects.toThrow(
      /^insecure_address/,
    );
  });
});
