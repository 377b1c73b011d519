/** Streams inside a context: they arrive, and carry no gradient. */
import { expect, test } from '@jest/globals';
import { autograd, rpc, tf } from '../../index.ts';
import { startCluster } from '../support/cluster.ts';

async function* scaled(x: tf.Tensor, times: number): AsyncGenerator<tf.Tensor> {
  for (let i = 1; i <= times; i++) yield tf.tidy(() => tf.mul(x, i));
}
rpc.register({ scaled });

test('a stream inside a context is not recorded, and what is made of its items is', async () => {
  await using cluster = await startCluster({ transport: 'memory' });
  const w = tf.tidy(() => tf.variable(tf.scalar(3)));
  await cluster.at(0).run(() =>
    autograd.context(async (id) => {
      let loss: tf.Tensor = tf.zeros([]);
      for await (const item of rpc.rpcStream(1, scaled, [w, 3])) {
        loss = tf.add(loss, tf.mul(item, w));
      }
      await autograd.backward(id, [loss]);
      const gradient = autograd.getGradients(id).get(w);
      // 3 + 6 + 9 of the items alone: nothing came through the stream.
      expect(gradient?.dataSync()[0]).toBe(18);
    }),
  );
  w.dispose();
});

test('items of a stream that outlives its context are refused', async () => {
  await using cluster = await startCluster({ transport: 'memory' });
  const x = tf.scalar(1);
  const items = await cluster.at(0).run(() =>
    autograd.context(async () => {
      const iterator = rpc.rpcStream(1, scaled, [x, 100])[Symbol.asyncIterator]();
      await iterator.next();
      // In the context, but read after its end.
      return { late: new Promise((resolve) => setImmediate(resolve)).then(() => iterator.next()) };
    }),
  );
  await expect(items.late).rejects.toThrow(/^context_released/);
  x.dispose();
});
