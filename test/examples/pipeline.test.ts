/** However a batch is split, the pipeline computes and learns the same. */
import { expect, test } from '@jest/globals';
import { DistConvNet } from '../../examples/pipeline/shards.ts';
import { autograd, optim, tf } from '../../index.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import { randomTensor, relativeDifference } from '../support/numbers.ts';

/** Output and parameters after one step; the caller's. */
async function step(numSplits: number, xs: tf.Tensor4D): Promise<tf.Tensor[]> {
  const model = new DistConvNet(numSplits, ['worker1', 'worker2'], 1);
  const parameters = await model.parameterRRefs();
  const optimizer = new optim.DistributedOptimizer(optim.SGD, parameters, { lr: 0.1 });
  const output = await autograd.context(async (id) => {
    const outputs = await model.forward(xs);
    await autograd.backward(id, [tf.mean(tf.square(outputs))]);
    await optimizer.step(id);
    return outputs;
  });
  const values = await Promise.all(parameters.map((parameter) => parameter.toHere()));
  optimizer.dispose();
  for (const parameter of parameters) parameter.dispose();
  model.dispose();
  return [output, ...values];
}

test.each(TRANSPORTS)(
  'one, two and four splits over %s',
  async (transport) => {
    await using cluster = await startCluster({ workers: 3, transport, engine: 'wasm' });
    await cluster.at(0).run(async () => {
      const xs = randomTensor([4, 28, 28, 1], 1) as tf.Tensor4D;
      const whole = await step(1, xs);
      expect(whole).toHaveLength(11);
      for (const numSplits of [2, 4]) {
        const split = await step(numSplits, xs);
        split.forEach((tensor, i) => {
          expect(relativeDifference(tensor, whole[i] as tf.Tensor)).toBeLessThanOrEqual(1e-5);
        });
        tf.dispose(split);
      }
      tf.dispose([xs, ...whole]);
    });
    await cluster.collected();
  },
  30_000,
);
