import { describe, expect, test } from '@jest/globals';
import { rpcSync } from '../../rpc/api.ts';
import { register } from '../../rpc/registry.ts';
import { TensorScope, tf } from '../../tensor/index.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import { double, echo, heldTensor, newGate, size, zeros } from '../support/services.ts';

async function doubleAt(to: string, x: tf.Tensor): Promise<tf.Tensor> {
  return tf.add(await rpcSync(to, double, [x]), tf.scalar(1));
}

function pair(x: tf.Tensor): { same: tf.Tensor[]; part: tf.Tensor } {
  return { same: [x, x], part: tf.slice(x, [1], [1]) };
}
register({ doubleAt, pair });

function many(): tf.Tensor[] {
  return [
    tf.tensor2d([1.5, Number.NaN, -0, Number.POSITIVE_INFINITY], [2, 2]),
    tf.tensor1d([1, -2, 2 ** 31 - 1], 'int32'),
    tf.tensor1d([true, false], 'bool'),
    tf.tensor1d(['a', 'ü\u{1f600}', '']),
    tf.complex([1, 2], [3, 4]),
    tf.scalar(7),
    tf.zeros([0, 3]),
    tf.tensor6d([1], [1, 1, 1, 1, 1, 1]),
  ];
}

describe.each(TRANSPORTS)('%s', (transport) => {
  test('tensors of every dtype, shape and place cross', async () => {
    await using cluster = await startCluster({ transport });
    const sent = many();
    const value = { list: sent, map: new Map([['k', { deep: sent[0] }]]) };
    const back = await cluster.at(0).rpcSync(1, echo<typeof value>, [value]);
    for (const [i, t] of back.list.entries()) {
      expect([t.dtype, t.shape]).toEqual([sent[i]?.dtype, sent[i]?.shape]);
      expect(await t.data()).toEqual(await sent[i]?.data());
    }
    // One tensor in two places is one tensor at the other end.
    expect(back.map.get('k')?.deep).toBe(back.list[0]);
    tf.dispose([sent, back.list]);
  });

  test('a variable arrives as a tensor', async () => {
    await using cluster = await startCluster({ transport });
    const variable = tf.tidy(() => tf.variable(tf.tensor1d([1, 2])));
    const back = await cluster.at(0).rpcSync(1, echo<tf.Variable>, [variable]);
    expect(back).not.toBeInstanceOf(tf.Variable);
    expect([...back.dataSync()]).toEqual([1, 2]);
    const other = tf.tensor1d([5, 5]);
    variable.assign(other);
    expect([...back.dataSync()]).toEqual([1, 2]);
    tf.dispose([other, back]);
    variable.dispose();
  });

  test('arguments are read at once and may be freed after the call', async () => {
    await using cluster = await startCluster({ transport });
    const x = tf.tensor1d([1, 2, 3]);
    const answer = cluster.at(0).rpcAsync(1, double, [x]);
    x.dispose();
    const y = await answer;
    expect([...y.dataSync()]).toEqual([2, 4, 6]);
    y.dispose();
    expect(() => cluster.at(0).rpcAsync(1, double, [x])).toThrow(/^tensor_freed/);
  });

  test('what a handler makes is freed, results belong to the scope of the caller', async () => {
    await using cluster = await startCluster({ workers: 3, transport });
    const before = tf.memory().numTensors;
    const x = tf.ones([4]);
    expect(await cluster.at(0).rpcSync(1, size, [x])).toBe(4);
    expect(tf.memory().numTensors).toBe(before + 1);
    const scope = new TensorScope();
    await scope.run(async () => {
      const y = await cluster.at(0).rpcSync(1, doubleAt, ['worker2', x]);
      expect([...y.dataSync()]).toEqual([3, 3, 3, 3]);
      const two = await cluster.at(0).rpcSync(1, pair, [y]);
      expect(two.same[0]).toBe(two.same[1]);
      expect(tf.memory().numTensors).toBe(before + 4);
    });
    scope.dispose();
    x.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  test('20 MB both ways', async () => {
    await using cluster = await startCluster({ transport });
    const x = tf.range(0, 5_000_000);
    const y = await cluster.at(0).rpcSync(1, echo<tf.Tensor>, [x]);
    expect(Buffer.from(y.dataSync().buffer).equals(Buffer.from(x.dataSync().buffer))).toBe(true);
    tf.dispose([x, y]);
  });

  test('200 calls at once with tensors of 300 kB', async () => {
    await using cluster = await startCluster({ transport });
    const sent = Array.from({ length: 200 }, (_, i) => tf.fill([75_000], i));
    const calls = sent.map((x, i) => cluster.at(i % 2).rpcAsync((i + 1) % 2, double, [x]));
    const back = await Promise.all(calls);
    for (const [i, y] of back.entries()) {
      expect(y.size).toBe(75_000);
      expect(y.dataSync().at(-1)).toBe(2 * i);
    }
    tf.dispose([...sent, ...back]);
  });

  test('a hundred sizes, from nothing up', async () => {
    await using cluster = await startCluster({ transport });
    const calls = Array.from({ length: 100 }, (_, i) => cluster.at(0).rpcAsync(1, zeros, [[i, i]]));
    const back = await Promise.all(calls);
    expect(back.map((t) => t.shape)).toEqual(back.map((_, i) => [i, i]));
    tf.dispose(back);
  });

  test('a result that nobody waits for any more is freed', async () => {
    await using cluster = await startCluster({ transport });
    const gate = newGate();
    const call = cluster.at(0).rpcAsync(1, heldTensor, [], { timeoutMs: 20 });
    await expect(call).rejects.toThrow(/^deadline_exceeded/);
    gate.open();
  });
});
