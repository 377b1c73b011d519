/** What PyTorch RPC checks of itself, theme T10: functions that answer later. */
import { describe, expect, test } from '@jest/globals';
import { rpcAsync } from '../../rpc/api.ts';
import { asyncExecution } from '../../rpc/async-execution.ts';
import { RpcFuture } from '../../rpc/future.ts';
import { register } from '../../rpc/registry.ts';
import type { OneAnswer } from '../../rpc/streamed.ts';
import type { WorkerNode } from '../../rpc/worker.ts';
import { tf } from '../../tensor/index.ts';
import { type Cluster, startCluster, TRANSPORTS } from '../support/cluster.ts';
import { expectNoLeak } from '../support/leaks.ts';
import { add, double, held, newGate } from '../support/services.ts';
import { until } from '../support/until.ts';

const raises = asyncExecution((): RpcFuture<number> => {
  throw new RangeError('before it returned');
});

const wrongType = asyncExecution((() => 5) as unknown as () => Promise<number>);

const simple = asyncExecution((to: string, x: number) => rpcAsync(to, add, [x, 1]));

const ownFuture = asyncExecution((to: string, x: number): RpcFuture<number> => {
  const future = new RpcFuture<number>();
  rpcAsync(to, add, [x, 1]).onComplete((call) => future.setResult(call.value() + 10));
  return future;
});

const chained = asyncExecution((to: string, x: number) =>
  rpcAsync(to, add, [x, 1]).then((value) => value + 10),
);

const nested = asyncExecution((to: string, last: string, x: number) =>
  rpcAsync(to, simple, [last, x]).then((value) => value + 100),
);

const multiChained = asyncExecution((to: string, x: number) => {
  let future = rpcAsync(to, add, [x, 1]);
  for (let i = 0; i < 20; i++) future = future.then((value) => value + 1);
  return future;
});

const fanOut = asyncExecution((to: string, count: number): RpcFuture<number> => {
  const future = new RpcFuture<number>();
  let [left, sum] = [count, 0];
  for (let i = 0; i < count; i++) {
    rpcAsync(to, add, [i, 1]).onComplete((call) => {
      sum += call.value();
      if (--left === 0) future.setResult(sum);
    });
  }
  return future;
});

const laterTensor = asyncExecution((to: string, x: tf.Tensor) =>
  rpcAsync(to, double, [x]).then((twice) => tf.add(twice, x)),
);

const waiting = asyncExecution((to: string) => rpcAsync(to, held, ['late']));

class Adder {
  static readonly step: number = 1;
  readonly start: number;

  constructor(start = 0) {
    this.start = start;
  }

  static addStatic(to: string, x: number): RpcFuture<number> {
    return rpcAsync(to, add, [x, 1]);
  }

  static addByClass(to: string, x: number): RpcFuture<number> {
    // biome-ignore lint/complexity/noThisInStatic: the class it is called on is the point
    return rpcAsync(to, add, [x, this.step]);
  }

  @asyncExecution
  static addDecorated(to: string, x: number): RpcFuture<number> {
    return rpcAsync(to, add, [x, 1]);
  }

  addBound(to: string, x: number): RpcFuture<number> {
    return rpcAsync(to, add, [x, this.start]);
  }

  addUnmarked(to: string, x: number): RpcFuture<number> {
    return rpcAsync(to, add, [x, this.start]);
  }
}
asyncExecution(Adder.addStatic);
asyncExecution(Adder.addByClass);
asyncExecution(Adder.prototype.addBound);
register({ raises, wrongType, simple, ownFuture, chained, nested, multiChained, fanOut });
register({ laterTensor, waiting, Adder });

type Mode = <A extends unknown[], R>(
  fn: ((...args: A) => R) & OneAnswer<R>,
  args: A,
) => Promise<unknown>;

/** The three ways of calling worker1. */
function modes(worker: WorkerNode): Readonly<Record<'sync' | 'async' | 'remote', Mode>> {
  return {
    sync: (fn, args) => worker.rpcSync(1, fn, ...([args] as never)),
    async: (fn, args) => worker.rpcAsync(1, fn, ...([args] as never)),
    remote: async (fn, args) => {
      using rref = worker.remote(1, fn, ...([args] as never));
      return await rref.toHere();
    },
  };
}

const MODES = ['sync', 'async', 'remote'] as const;

describe.each(TRANSPORTS)('%s', (transport) => {
  const start = (): Promise<Cluster> => startCluster({ workers: 3, transport });

  test.each(MODES)(
    'test_async_function_raise, test_async_function_raise_async, test_async_function_raise_remote: what it throws is the error (%s)',
    async (mode) => {
      await using cluster = await start();
      await expect(modes(cluster.at(0))[mode](raises, [])).rejects.toMatchObject({
        code: 'remote_error',
        remoteName: 'RangeError',
      });
    },
  );

  test.each(MODES)(
    'test_async_function_wrong_return_type, test_async_function_wrong_return_type_async, test_async_function_wrong_return_type_remote: no promise is an error (%s)',
    async (mode) => {
      await using cluster = await start();
      await expect(modes(cluster.at(0))[mode](wrongType, [])).rejects.toMatchObject({
        code: 'unsupported_value',
        message: expect.stringMatching(
          /wrongType returned no promise.* returns an RpcFuture or another promise/,
        ),
      });
    },
  );

  test.each(MODES)(
    'test_async_function_simple, test_async_function_simple_async, test_async_function_simple_remote: the future of a nested call (%s)',
    async (mode) => {
      await using cluster = await start();
      expect(await modes(cluster.at(0))[mode](simple, ['worker2', 1])).toBe(2);
    },
  );

  test.each(MODES)(
    'test_async_function_with_future_ctor, test_async_function_with_future_ctor_async, test_async_function_with_future_ctor_remote: a future of its own (%s)',
    async (mode) => {
      await using cluster = await start();
      expect(await modes(cluster.at(0))[mode](ownFuture, ['worker2', 1])).toBe(12);
    },
  );

  test.each(MODES)(
    'test_async_function_chained, test_async_function_chained_async, test_async_function_chained_remote: a chained future (%s)',
    async (mode) => {
      await using cluster = await start();
      expect(await modes(cluster.at(0))[mode](chained, ['worker2', 1])).toBe(12);
    },
  );

  test.each(MODES)(
    'test_async_function_nested, test_async_function_nested_async, test_async_function_nested_remote: a marked one calls a marked one (%s)',
    async (mode) => {
      await using cluster = await start();
      expect(await modes(cluster.at(0))[mode](nested, ['worker2', 'worker0', 1])).toBe(102);
    },
  );

  test.each(MODES)(
    'test_async_static_method, test_async_static_method_async, test_async_static_method_remote: a static method (%s)',
    async (mode) => {
      await using cluster = await start();
      expect(await modes(cluster.at(0))[mode](Adder.addStatic, ['worker2', 1])).toBe(2);
    },
  );

  test('the mark is a decorator too', async () => {
    await using cluster = await start();
    expect(await cluster.at(0).rpcSync(1, Adder.addDecorated, ['worker2', 1])).toBe(2);
  });

  test.each(MODES)(
    'test_async_class_method, test_async_class_method_async, test_async_class_method_remote: a method of the class (%s)',
    async (mode) => {
      await using cluster = await start();
      expect(await modes(cluster.at(0))[mode](Adder.addByClass, ['worker2', 1])).toBe(2);
    },
  );

  test('test_async_class_rref_proxy, test_async_class_rref_proxy_async, test_async_class_rref_proxy_remote: through the proxies of a reference', async () => {
    await using cluster = await start();
    using adder = cluster.at(0).remote(1, Adder, [5]);
    expect(await adder.rpcSync().addBound('worker2', 1)).toBe(6);
    const future = adder.rpcAsync().addBound('worker2', 2);
    expect(future).toBeInstanceOf(RpcFuture);
    expect(await future).toBe(7);
    using kept = adder.remote().addBound('worker2', 3);
    expect(await kept.toHere()).toBe(8);
    await expect(adder.rpcSync().addUnmarked('worker2', 1)).rejects.toThrow(/returned a future/);
  });

  test.each(MODES)(
    'test_async_function_multi_chained, test_async_function_multi_chained_async, test_async_function_multi_chained_remote: twenty callbacks (%s)',
    async (mode) => {
      await using cluster = await start();
      expect(await modes(cluster.at(0))[mode](multiChained, ['worker2', 1])).toBe(22);
    },
  );

  test.each(MODES)(
    'test_async_function_multi_fanout, test_async_function_multi_fanout_async, test_async_function_multi_fanout_remote: twenty calls complete one future (%s)',
    async (mode) => {
      await using cluster = await start();
      expect(await modes(cluster.at(0))[mode](fanOut, ['worker2', 20])).toBe(210);
    },
  );

  test('tensors of the arguments stay until it answers', async () => {
    await using cluster = await start();
    await expectNoLeak(async () => {
      const x = tf.tensor1d([1, 2]);
      const y = await cluster.at(0).rpcSync(1, laterTensor, ['worker2', x]);
      expect(await y.data()).toEqual(new Float32Array([3, 6]));
      tf.dispose([x, y]);
    });
  });

  test('while it waits it is counted as asynchronous, and holds up no other call', async () => {
    await using cluster = await start();
    const gate = newGate();
    const calls = [1, 2, 3].map(() => cluster.at(0).rpcAsync(1, waiting, ['worker2']));
    await until(() => gate.arrived === 3);
    expect(cluster.at(1).getDebugInfo()).toMatchObject({
      'agent.serverActiveCalls': 3,
      'agent.serverActiveAsyncCalls': 3,
      'agent.clientActiveCalls': 3,
    });
    expect(cluster.at(2).getDebugInfo()['agent.serverActiveAsyncCalls']).toBe(0);
    expect(await cluster.at(0).rpcSync(1, simple, ['worker2', 1])).toBe(2);
    gate.open();
    expect(await Promise.all(calls)).toEqual(['late', 'late', 'late']);
    expect(cluster.at(1).getDebugInfo()['agent.serverActiveAsyncCalls']).toBe(0);
  });
});
