/** What PyTorch RPC checks of itself, theme T8: the proxies of a reference. */
import { describe, expect, test } from '@jest/globals';
import { RpcFuture } from '../../rpc/future.ts';
import { register } from '../../rpc/registry.ts';
import { tf } from '../../tensor/index.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import { expectNoLeak } from '../support/leaks.ts';
import { held, newGate } from '../support/services.ts';
import { until } from '../support/until.ts';

/** A tensor with methods: those of tfjs are functions. */
class Matrix {
  readonly #values: tf.Tensor;

  constructor(rows: number, columns: number) {
    this.#values = tf.keep(tf.ones([rows, columns]));
  }

  size(): number[] {
    return this.#values.shape;
  }

  add(x: tf.Tensor | number): tf.Tensor {
    return tf.add(this.#values, x);
  }

  view(shape: number[]): tf.Tensor {
    return tf.reshape(this.#values, shape);
  }

  [Symbol.dispose](): void {
    this.#values.dispose();
  }
}

class Tally {
  static readonly unit: string = 'votes';
  #count = 0;

  static describe(count: number): string {
    // biome-ignore lint/complexity/noThisInStatic: the class it is called on is the point
    return `${count} ${this.unit}`;
  }

  static sum(a: number, b: number): number {
    return a + b;
  }

  read(): number {
    return this.#count;
  }

  /** Gives nothing. */
  increment(by: number): void {
    this.#count += by;
  }

  incrementBy(first: number, second = 0): number {
    this.#count += first + second;
    return this.#count;
  }
}

class SlowToMake {
  readonly value = 5;

  static async make(): Promise<SlowToMake> {
    await held('made');
    return new SlowToMake();
  }

  async slowly(): Promise<string> {
    return await held('slow');
  }
}
register({ Matrix, Tally, SlowToMake });

describe.each(TRANSPORTS)('%s', (transport) => {
  test.each([
    ['test_rref_proxy_tensor', 1],
    ['test_rref_proxy_tensor_self', 0],
  ])('%s: methods of a remote tensor through the three proxies', async (_, owner) => {
    await using cluster = await startCluster({ transport });
    await expectNoLeak(async () => {
      using matrix = cluster.at(0).remote(owner, Matrix, [2, 3]);
      expect(await matrix.rpcSync().size()).toEqual([2, 3]);
      const sum = await matrix.rpcAsync().add(1);
      expect(await sum.data()).toEqual(new Float32Array(6).fill(2));
      using view = matrix.remote().view([6]);
      const copy = await view.toHere();
      expect(copy.shape).toEqual([6]);
      tf.dispose([sum, copy]);
      matrix.dispose();
      view.dispose();
      await cluster.unreferenced();
    });
  });

  test('test_rref_proxy_reuse: one proxy serves several calls', async () => {
    await using cluster = await startCluster({ transport });
    using tally = cluster.at(0).remote(1, Tally);
    const [sync, later, remote] = [tally.rpcSync(), tally.rpcAsync(), tally.remote()];
    expect([await sync.incrementBy(1), await sync.incrementBy(1)]).toEqual([1, 2]);
    expect(await Promise.all([later.incrementBy(1), later.incrementBy(1)])).toEqual([3, 4]);
    using a = remote.incrementBy(1);
    using b = remote.incrementBy(1, 1);
    expect([await a.toHere(), await b.toHere()]).toEqual([5, 7]);
  });

  test.each([
    ['test_rref_proxy_class', 1],
    ['test_rref_proxy_class_self', 0],
  ])(
    '%s: state of an object through the three proxies, and what its class can do',
    async (_, owner) => {
      await using cluster = await startCluster({ transport });
      const worker = cluster.at(0);
      using tally = worker.remote(owner, Tally);
      expect(await tally.rpcSync().increment(1)).toBeUndefined();
      const future = tally.rpcAsync().increment(2);
      expect(future).toBeInstanceOf(RpcFuture);
      expect(await future).toBeUndefined();
      using nothing = tally.remote().increment(3);
      expect(await nothing.toHere()).toBeUndefined();
      expect(await tally.rpcSync().read()).toBe(6);
      expect(await tally.rpcAsync().incrementBy(1, 1)).toBe(8);
      using read = tally.remote().read();
      expect(await read.toHere()).toBe(8);
      // What belongs to the class is called as a function, where the object lives.
      expect(await worker.rpcSync(tally.owner(), Tally.sum, [3, 4])).toBe(7);
      expect(await worker.rpcSync(tally.owner(), Tally.describe, [3])).toBe('3 votes');
    },
  );

  test('test_rref_proxy_timeout: it covers the method, and the wait for the object', async () => {
    await using cluster = await startCluster({ transport });
    const gate = newGate();
    const limit = { timeoutMs: 20 };
    using made = cluster.at(0).remote(1, SlowToMake);
    const late = { code: 'deadline_exceeded' };
    await expect(made.rpcSync(limit).slowly()).rejects.toMatchObject(late);
    const future = made.rpcAsync(limit).slowly();
    await expect(future).rejects.toMatchObject(late);
    expect(future.done()).toBe(true);
    using lost = made.remote(limit).slowly();
    await until(() => cluster.at(0).endpoint.waitingCount === 0);
    await expect(lost.toHere()).rejects.toMatchObject(late);
    using slow = cluster.at(0).remote(1, SlowToMake.make);
    await expect(slow.rpcSync(limit).slowly()).rejects.toMatchObject(late);
    await expect(slow.rpcAsync(limit).slowly()).rejects.toMatchObject(late);
    gate.open();
    expect(await slow.rpcSync().slowly()).toBe('slow');
    await until(() => cluster.at(1).endpoint.runningCount === 0);
  });
});
