/** The whole of gradwire in a second: run this first. */
import { expect, test } from '@jest/globals';
import { autograd, optim, rpc, tf } from '../index.ts';
import { expectNoLeak } from './support/leaks.ts';

class Line {
  readonly #slope = tf.variable(tf.scalar(1));

  forward(x: tf.Tensor): tf.Tensor {
    return tf.mul(x, this.#slope);
  }

  getParamRRefs(): rpc.RRef<tf.Variable>[] {
    return [new rpc.RRef<tf.Variable>(this.#slope)];
  }
}
rpc.register({ Line });

test('a remote model learns', async () => {
  await tf.ready();
  await expectNoLeak(async () => {
    const group = { worldSize: 2, masterPort: 29_600, transport: new rpc.MemoryTransport() };
    const workers = await Promise.all([
      rpc.init({ ...group, name: 'server', rank: 0 }),
      rpc.init({ ...group, name: 'trainer', rank: 1 }),
    ]);
    const losses = await workers[1].run(train);
    expect(losses).toHaveLength(20);
    expect(losses.at(-1)).toBeLessThan(1e-3 * (losses[0] as number));
    const reports = await Promise.all(workers.map((worker) => worker.shutdown()));
    expect(reports).toMatchObject(workers.map(() => ({ drained: true, cancelled: 0, dead: [] })));
  });
});

async function train(): Promise<number[]> {
  const model = rpc.remote('server', Line);
  const optimizer = new optim.DistributedOptimizer(
    optim.SGD,
    await model.rpcSync().getParamRRefs(),
    {
      lr: 0.1,
    },
  );
  const x = tf.tensor1d([-1, 0, 1, 2]);
  const losses: number[] = [];
  for (let step = 0; step < 20; step++) {
    await autograd.context(async (contextId) => {
      const y = await model.rpcSync().forward(x);
      const loss = tf.mean(tf.square(tf.sub(y, tf.mul(x, 3))));
      losses.push((await loss.data())[0] as number);
      await autograd.backward(contextId, [loss]);
      await optimizer.step(contextId);
    });
  }
  x.dispose();
  return losses;
}
