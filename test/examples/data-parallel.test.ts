/** Gradients of replicas on two trainers, with an embedding on a third worker, are those of one process with all bags. */
import { expect, test } from '@jest/globals';
import { type Bags, bagsOf } from '../../examples/data-parallel/bags.ts';
import {
  EMBEDDING,
  EmbeddingBag,
  HybridModel,
  type RemoteEmbedding,
} from '../../examples/data-parallel/hybrid-model.ts';
import { averageGradients } from '../../examples/data-parallel/replicas.ts';
import { crossEntropy } from '../../examples/support/losses.ts';
import { autograd, rpc, SparseSlices, tf } from '../../index.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import { referenceGradients } from '../support/gradients.ts';
import { relativeDifference } from '../support/numbers.ts';

const [SEED, COUNT] = [5, 6];
const TRAINERS = ['worker1', 'worker2'];

function lossOf(scores: tf.Tensor2D, { target }: Bags): tf.Scalar {
  return crossEntropy(scores, tf.tensor1d(target, 'int32'));
}

function inputsOf({ items, bags }: Bags): [tf.Tensor1D, tf.Tensor1D, number] {
  return [tf.tensor1d(items, 'int32'), tf.tensor1d(bags, 'int32'), COUNT];
}

/** The gradient of the embedding in this context. */
function embeddingGradient(id: autograd.ContextId): SparseSlices {
  const [gradient] = autograd.getGradients(id, { sparse: true }).values();
  if (gradient instanceof SparseSlices) return gradient;
  throw new Error('the gradient is dense');
}

/** Means of the replicas' gradients, and this trainer's gradient of the embedding. */
async function gradientsOf(
  module: RemoteEmbedding,
): Promise<{ means: tf.Tensor[]; embedding: SparseSlices }> {
  const rank = TRAINERS.indexOf(rpc.getWorkerInfo().name);
  const bags = bagsOf(SEED, rank, 0, COUNT);
  const model = new HybridModel(module, SEED);
  try {
    return await autograd.context(async (id) => {
      const scores = await model.forward(...inputsOf(bags));
      await autograd.backward(id, [lossOf(scores, bags)]);
      const dense = model.parameters();
      const means = await averageGradients(TRAINERS, dense, autograd.getGradients(id));
      const embedding = await rpc.rpcSync('worker0', embeddingGradient, [id]);
      return { means: [...means.values()], embedding };
    });
  } finally {
    model.dispose();
  }
}

rpc.register({ 'test.embeddingGradient': embeddingGradient, 'test.gradientsOf': gradientsOf });

test.each(TRANSPORTS)('two trainers over %s', async (transport) => {
  await using cluster = await startCluster({ workers: 3, transport, engine: 'wasm' });
  await cluster.at(0).run(async () => {
    const module = new autograd.RemoteModule('worker0', EmbeddingBag, [...EMBEDDING, SEED]);
    const reports = await rpc.collectAll(
      TRAINERS.map((trainer) => rpc.rpcAsync(trainer, gradientsOf, [module])),
    );
    const embedding = new EmbeddingBag(...EMBEDDING, SEED);
    const { fc } = new HybridModel(module, SEED);
    const variables = [...embedding.parameters(), fc.weight, fc.bias] as tf.Variable[];
    const expected = referenceGradients(() => {
      const losses = [0, 1].map((rank) => {
        const bags = bagsOf(SEED, rank, 0, COUNT);
        return lossOf(fc.forward(embedding.forward(...inputsOf(bags))), bags);
      });
      return tf.div(tf.addN(losses), 2);
    }, variables);
    const [ofEmbedding, ...ofDense] = variables.map((of) => expected.get(of) as tf.Tensor);
    for (const { means } of reports) {
      const differences = means.map((mean, i) => relativeDifference(mean, ofDense[i] as tf.Tensor));
      expect(differences).toHaveLength(2);
      expect(Math.max(...differences)).toBeLessThanOrEqual(1e-5);
    }
    const sum = tf.tidy(() => {
      return tf.div(tf.addN(reports.map((report) => report.embedding.toDense())), 2);
    });
    expect(relativeDifference(sum, ofEmbedding as tf.Tensor)).toBeLessThanOrEqual(1e-5);
    for (const { means, embedding: sparse } of reports) {
      tf.dispose([...means, sparse.indices, sparse.values]);
    }
    tf.dispose([sum, ...expected.values(), ...variables]);
    module.dispose();
  });
  await cluster.collected();
});
