/** A trainer of the data-parallel example. Called by the master, by name. */
import { autograd, optim, rpc, tf } from 'gradwire';
import { crossEntropy } from '../support/losses.ts';
import { Progress } from '../support/progress.ts';
import { bagsOf } from './bags.ts';
import { HybridModel, type RemoteEmbedding } from './hybrid-model.ts';
import { averageGradients } from './replicas.ts';

export interface TrainerOptions {
  readonly trainers: readonly string[];
  readonly steps: number;
  readonly batchSize: number;
  readonly lr: number;
  readonly seed: number;
}

/** What a trainer tells at its end. */
export interface Report {
  readonly losses: readonly number[];
  /** Parts of the last bags that it classified right, before it learnt from them. */
  readonly accuracy: number;
  /** The replica of the dense layer. */
  readonly replica: readonly tf.Tensor[];
}

/** Steps that the accuracy is taken of. */
const LAST = 10;

/**
 * Trains with a replica of the dense layer of its own and the embedding that all share; every step has other bags on each
 * trainer.
 */
export async function runTrainer(
  remoteEmbModule: RemoteEmbedding,
  options: TrainerOptions,
): Promise<Report> {
  const { trainers, steps, batchSize, lr, seed } = options;
  const { name } = rpc.getWorkerInfo();
  const rank = trainers.indexOf(name);
  // Setup the model.
  const model = new HybridModel(remoteEmbModule, seed);
  const dense = model.parameters();
  // The distributed optimizer updates the embedding, a local one the replica: by the mean of all trainers' gradients.
  const embedding = await remoteEmbModule.remoteParameters();
  const opt = new optim.DistributedOptimizer(optim.Adagrad, embedding, { lr });
  const denseOpt = new optim.Adagrad(dense, { lr });
  const progress = new Progress({ label: name, total: steps });
  const losses: number[] = [];
  let right = 0;
  for (let step = 0; step < steps; step++) {
    const { items, bags, target } = bagsOf(seed, rank, step, batchSize);
    // Create distributed autograd context.
    await autograd.context(async (contextId) => {
      const output = await model.forward(
        tf.tensor1d(items, 'int32'),
        tf.tensor1d(bags, 'int32'),
        batchSize,
      );
      const labels = tf.tensor1d(target, 'int32');
      const loss = crossEntropy(output, labels);
      // Run distributed backward pass.
      await autograd.backward(contextId, [loss]);
      // Average the gradients of the replicas.
      const gradients = autograd.getGradients(contextId);
      const means = await averageGradients(trainers, dense, gradients);
      // Run the optimizers. Gradients need not be zeroed: each context has its own.
      await opt.step(contextId);
      denseOpt.step(means);
      const hits = tf.sum(tf.equal(tf.argMax(output, 1), labels));
      if (step >= steps - LAST) right += (await hits.data())[0] as number;
      losses.push((await loss.data())[0] as number);
    });
    progress.update(step + 1, { loss: losses.at(-1) as number });
  }
  progress.end();
  const replica = dense.map((parameter) => tf.clone(parameter));
  opt.dispose();
  denseOpt.dispose();
  for (const reference of embedding) reference.dispose();
  model.dispose();
  return { losses, accuracy: right / (Math.min(LAST, steps) * batchSize), replica };
}

rpc.register({ runTrainer });
