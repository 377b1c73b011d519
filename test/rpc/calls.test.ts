import { describe, expect, test } from '@jest/globals';
import { getWorkerInfo, rpcAsync, rpcSync } from '../../rpc/api.ts';
import { named, register } from '../../rpc/registry.ts';
import { WorkerInfo } from '../../rpc/worker-info.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import {
  add,
  current,
  echo,
  greet,
  held,
  newGate,
  nothing,
  relay,
  whoAmI,
} from '../support/services.ts';
import { until } from '../support/until.ts';

class Tools {
  readonly unit = 'mm';

  static half(x: number): number {
    return x / 2;
  }
}
register({ half: Tools.half, min: Math.min });

describe.each(TRANSPORTS)('%s', (transport) => {
  test('a peer is a name, a rank or a worker info, in each way of calling', async () => {
    await using cluster = await startCluster({ workers: 3, transport });
    const [first, second] = [cluster.at(0), cluster.at(1)];
    for (const to of ['worker1', 1, second.info, first.getWorkerInfo(1)]) {
      expect(await first.rpcSync(to, add, [1, 2])).toBe(3);
      expect(await first.rpcAsync(to, add, [1, 2])).toBe(3);
      using rref = first.remote(to, add, [1, 2]);
      expect(await rref.toHere()).toBe(3);
    }
    expect(first.getWorkerInfos().map(String)).toEqual([
      'worker0 (rank 0)',
      'worker1 (rank 1)',
      'worker2 (rank 2)',
    ]);
    expect(first.getWorkerInfo()).toBe(first.info);
  });

  test('a peer that is none is refused, with those that are', async () => {
    await using cluster = await startCluster({ workers: 2, transport });
    const worker = cluster.at(0);
    for (const to of [2, -1, 'worker9', '', new WorkerInfo('elsewhere', 0)]) {
      expect(() => worker.rpcAsync(to, add, [1, 2])).toThrow(/^unknown_worker: .*worker0, worker1/);
      expect(() => worker.remote(to, add, [1, 2])).toThrow(/^unknown_worker/);
      await expect(worker.rpcSync(to, add, [1, 2])).rejects.toMatchObject({
        code: 'unknown_worker',
        maybeExecuted: false,
      });
    }
    expect(() => worker.getWorkerInfo('worker9')).toThrow(/Did you mean worker0 or worker1\?/);
  });

  test('arguments may be left out, results may be nothing', async () => {
    await using cluster = await startCluster({ transport });
    const worker = cluster.at(1);
    expect(await worker.rpcSync(0, greet)).toBe('hello you');
    expect(await worker.rpcSync(0, greet, ['me'])).toBe('hello me');
    expect(await worker.rpcSync(0, nothing)).toBeUndefined();
    expect(await worker.rpcSync(0, Tools.half, [3])).toBe(1.5);
    expect(await worker.rpcSync(0, Math.min, [3, 2])).toBe(2);
    expect(await worker.rpcSync(0, named<typeof add>('add'), [3, 2])).toBe(5);
  });

  test('values of the closed set cross unchanged', async () => {
    await using cluster = await startCluster({ transport });
    const [a, b] = [cluster.at(0), cluster.at(1)];
    const value = {
      list: [null, undefined, true, -0, Number.NaN, 2n ** 80n, 'ü\u{1f600}\ud800', new Date(5)],
      map: new Map<unknown, unknown>([[{ a: 1 }, new Set([1, 'x'])]]),
      bytes: new Uint8Array([1, 2, 3]),
      info: b.info,
    };
    const back = await a.rpcSync(1, echo<typeof value>, [value]);
    expect(back).toEqual(value);
    expect(Object.is(back.list[3], -0)).toBe(true);
    expect(back.info).toBeInstanceOf(WorkerInfo);
  });

  test('the function runs in the name of the callee, which knows the caller', async () => {
    await using cluster = await startCluster({ workers: 3, transport });
    for (const worker of cluster.workers) {
      const next = (worker.info.id + 1) % 3;
      expect(await worker.rpcSync(next, whoAmI)).toEqual([`worker${next}`, worker.info.id]);
    }
  });

  test('calls nest, back to where they came from', async () => {
    await using cluster = await startCluster({ names: ['a', 'b', 'c'], transport });
    const path = ['b', 'c', 'a', 'a', 'b'];
    expect(await cluster.at(0).rpcSync('b', relay, [path.slice(1)])).toEqual(path);
  });

  test('a call to oneself copies as any other', async () => {
    await using cluster = await startCluster({ workers: 1, transport });
    const worker = cluster.at(0);
    const value = { list: [1] };
    const back = await worker.rpcSync(worker.info, echo<typeof value>, [value]);
    expect(back).toEqual(value);
    expect(back).not.toBe(value);
    using rref = worker.remote(0, add, [2, 2]);
    expect(await rref.localValue()).toBe(4);
    expect(await rref.toHere()).toBe(4);
  });

  test('a thousand calls at once', async () => {
    await using cluster = await startCluster({ transport });
    const calls = Array.from({ length: 1000 }, (_, i) => cluster.at(0).rpcAsync(1, add, [i, i]));
    expect(await Promise.all(calls)).toEqual(calls.map((_, i) => 2 * i));
  });

  test('a call that waits holds up no other', async () => {
    await using cluster = await startCluster({ transport });
    const gate = newGate();
    const slow = cluster.at(0).rpcAsync(1, held, ['late']);
    await until(() => gate.arrived === 1);
    expect(await cluster.at(0).rpcSync(1, add, [1, 1])).toBe(2);
    expect(cluster.at(0).endpoint.waitingCount).toBe(1);
    expect(cluster.at(1).endpoint.runningCount).toBe(1);
    current.gate.open();
    expect(await slow).toBe('late');
  });

  test('the functions of module rpc speak for the worker that is chosen', async () => {
    expect(() => getWorkerInfo()).toThrow(/^not_initialized/);
    await expect(rpcSync(0, add, [1, 1])).rejects.toThrow(/^not_initialized/);
    {
      await using one = await startCluster({ workers: 1, transport });
      expect(getWorkerInfo()).toBe(one.at(0).info);
      expect(await rpcAsync('worker0', add, [1, 1])).toBe(2);
    }
    await using two = await startCluster({ names: ['x', 'y'], transport });
    expect(() => getWorkerInfo()).toThrow(/^ambiguous_worker: .*x, y/);
    await expect(rpcSync(0, add, [1, 1])).rejects.toThrow(/^ambiguous_worker/);
    const name = await two.at(1).run(async () => {
      await Promise.resolve();
      return getWorkerInfo().name;
    });
    expect(name).toBe('y');
  });

  test('groups live side by side under the same names', async () => {
    await using first = await startCluster({ transport });
    await using second = await startCluster({ transport });
    const both = [first, second].map((cluster) => cluster.at(0).rpcSync('worker1', whoAmI));
    expect(await Promise.all(both)).toEqual([
      ['worker1', 0],
      ['worker1', 0],
    ]);
  });
});
