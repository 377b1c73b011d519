/** Gradients in groups that workers join and leave, and in several groups of one process at once. */
import { expect, test } from '@jest/globals';
import { shareOf } from '../../autograd/plugin.ts';
import { autograd, rpc, tf } from '../../index.ts';
import type { Worker } from '../../rpc/worker-api.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import { DynamicCluster } from '../support/dynamic.ts';
import { add, double, echo, whoAmI } from '../support/services.ts';
import { until } from '../support/until.ts';

function triple(x: tf.Tensor): tf.Tensor {
  return tf.mul(x, 3);
}
rpc.register({ triple });

/** d(sum(3x²))/dx at 2, with the product on `to`. */
async function gradient(from: Worker, to: number): Promise<number> {
  return await from.run(() =>
    autograd.context(async (id) => {
      const x = tf.variable(tf.scalar(2));
      const y = await from.rpcSync(to, triple, [tf.square(x)]);
      await autograd.backward(id, [y]);
      const grad = autograd.getGradients(id).get(x);
      const value = (await grad?.data())?.[0] ?? Number.NaN;
      x.dispose();
      return value;
    }),
  );
}

test.each(TRANSPORTS)(
  'contexts of one rank after the other do not meet (%s)',
  async (transport) => {
    await using group = await DynamicCluster.make({ transport });
    await group.join(0);
    for (let life = 0; life < 3; life++) {
      const worker = await group.join(1);
      for (let count = 0; count < 2; count++) {
        expect(await gradient(worker, 0)).toBeCloseTo(12);
        expect(await gradient(group.at(0), 1)).toBeCloseTo(12);
      }
      // The word of their end is heard in each life, and not taken for that of an earlier one.
      const all = [group.at(0), worker];
      await until(() => all.every((one) => shareOf(one)?.contexts.size === 0));
      expect(await worker.shutdown()).toMatchObject({ drained: true });
    }
  },
);

test.each(TRANSPORTS)('groups of one process do not see each other (%s)', async (transport) => {
  const names = ['same', 'names'];
  await using first = await startCluster({ transport, names });
  await using second = await startCluster({ transport: new rpc.MemoryTransport(), names });
  await using third = await DynamicCluster.make({ transport });
  await Promise.all([third.join(0, { name: 'same' })]);
  await third.join(1, { name: 'names' });
  const groups = [first.at(0), second.at(0), third.at(0)];
  const values = await Promise.all(groups.map((worker) => gradient(worker, 1)));
  for (const value of values) expect(value).toBeCloseTo(12);
  for (const worker of groups) {
    expect(await worker.rpcSync('names', whoAmI)).toEqual(['names', 0]);
    // A reference of one group is refused in the other, before anything is sent.
    const other = groups.find((candidate) => candidate !== worker) as Worker;
    using ref = other.run(() => new rpc.RRef(1));
    expect(() => worker.rpcAsync('names', echo<typeof ref>, [ref])).toThrow(
      /^unsupported_value: .*belongs to the worker same, not to same/,
    );
    // So is the context of one in the other.
    await other.run(() =>
      autograd.context(async () => {
        expect(() => worker.rpcAsync('names', double, [tf.scalar(1)])).toThrow(/^unknown_context/);
        expect(await other.rpcSync('names', add, [1, 2])).toBe(3);
      }),
    );
  }
  // One ends, the others go on.
  await Promise.all(first.workers.map((worker) => worker.shutdown()));
  expect(await second.at(0).rpcSync('names', add, [1, 1])).toBe(2);
  expect(await third.at(1).rpcSync('same', add, [1, 1])).toBe(2);
});
