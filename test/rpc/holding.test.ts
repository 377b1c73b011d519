/** Tensors that references and objects hold together live until the last of them lets go. */
import { describe, expect, test } from '@jest/globals';
import { register } from '../../rpc/registry.ts';
import { RRef } from '../../rpc/rref.ts';
import { tf } from '../../tensor/index.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import { held, newGate } from '../support/services.ts';
import { until } from '../support/until.ts';

class Cell {
  current: tf.Tensor | undefined;

  set(x: tf.Tensor): void {
    this.current = tf.add(x, 1);
  }

  get(): tf.Tensor {
    return this.current as tf.Tensor;
  }

  async use(): Promise<tf.Tensor> {
    const x = this.current as tf.Tensor;
    await held('');
    return tf.mul(x, 10);
  }
}

function failing(): never {
  throw new RangeError('no room');
}
register({ 'holding.Cell': Cell, 'holding.failing': failing });

describe.each(TRANSPORTS)('%s', (transport) => {
  test('a reference keeps a tensor that its object has replaced', async () => {
    await using cluster = await startCluster({ workers: 2, transport });
    const x = tf.scalar(1);
    const cell = cluster.at(0).remote(1, Cell);
    await cell.rpcSync().set(x);
    const first = cell.remote().get();
    const before = await first.toHere();
    await cell.rpcSync().set(before);
    const [kept, now] = [await first.toHere(), await cell.rpcSync().get()];
    expect([kept.dataSync()[0], now.dataSync()[0]]).toEqual([2, 3]);
    cell.dispose();
    first.dispose();
    tf.dispose([x, before, kept, now]);
  });

  test('what one method replaces stays until the others that use it are done', async () => {
    await using cluster = await startCluster({ workers: 2, transport });
    const x = tf.scalar(1);
    const cell = cluster.at(0).remote(1, Cell);
    await cell.rpcSync().set(x);
    const base = tf.memory().numTensors;
    const gate = newGate();
    const uses = [cell.rpcAsync().use(), cell.rpcAsync().use()];
    await until(() => gate.arrived === 2);
    await cell.rpcSync().set(x);
    await cell.rpcSync().set(x);
    gate.open();
    const results = await Promise.all(uses);
    expect(results.map((t) => t.dataSync()[0])).toEqual([20, 20]);
    tf.dispose(results);
    await until(() => tf.memory().numTensors === base);
    cell.dispose();
    x.dispose();
  });

  test('a failed creation says so to whoever uses the reference', async () => {
    await using cluster = await startCluster({ workers: 2, transport });
    using broken = cluster.at(0).remote(1, failing);
    await expect(broken.toHere()).rejects.toMatchObject({
      code: 'remote_error',
      remoteName: 'RangeError',
      message: expect.stringMatching(
        /^remote_error: RangeError: no room \(thrown in making holding\.failing on worker1\)$/,
      ),
    });
  });
});

test('two references around one tensor', async () => {
  await using cluster = await startCluster({ workers: 1, transport: 'memory' });
  const worker = cluster.at(0);
  const x = tf.scalar(5);
  const [first, second] = worker.run(() => [new RRef([x]), new RRef([x])] as const);
  first.dispose();
  const [copy] = (await second.toHere()) as tf.Tensor[];
  expect(copy?.dataSync()[0]).toBe(5);
  copy?.dispose();
  second.dispose();
});
