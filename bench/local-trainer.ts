/**
 * The tutorial's training step as a program of one process writes it: `tf.variableGrads` and a local optimizer. What a
 * distributed step is held against. Knows nothing of calls.
 */
import { optim, tf } from 'gradwire';
import { Net } from '../examples/parameter-server/net.ts';
import { type Batch, Batches } from '../examples/support/batches.ts';
import type { Dataset } from '../examples/support/dataset.ts';
import { trainingDigits } from './data.ts';

/** Options of the tutorial. */
export const LEARNING_RATE = 0.03;
export const BATCH_SIZE = 32;

/** Batches of 32 images without end, by default of generated digits; what it gives is freed on the next one. */
export function endlessBatches(
  dataset: Dataset = trainingDigits(),
  seed: number = 1,
): AsyncGenerator<Batch, void, void> {
  const epochs = Number.MAX_SAFE_INTEGER;
  return new Batches(dataset, { batchSize: BATCH_SIZE, seed, epochs })[Symbol.asyncIterator]();
}

/** The next of a sequence without end. */
export async function nextBatch(batches: AsyncGenerator<Batch, void, void>): Promise<Batch> {
  const { value } = await batches.next();
  if (!value) throw new Error('the batches ended');
  return value;
}

/** Negative log-likelihood of the targets `[batch]` under log-probabilities `[batch, 10]`, as in the tutorial. */
export function nllLoss(logProbs: tf.Tensor2D, target: tf.Tensor1D): tf.Scalar {
  return tf.tidy(() => tf.neg(tf.mean(tf.sum(tf.mul(logProbs, tf.oneHot(target, 10)), 1))));
}

export class LocalTrainer {
  readonly net: Net;
  readonly optimizer: optim.SGD;
  readonly #batches: AsyncGenerator<Batch, void, void> = endlessBatches();

  constructor() {
    this.net = new Net({ seed: 1 });
    this.optimizer = new optim.SGD(this.net.parameters(), { lr: LEARNING_RATE });
  }

  /** One step, from the batch to the updated parameters; resolves with the loss. */
  async step(): Promise<number> {
    return this.stepOn(await nextBatch(this.#batches));
  }

  /** One step on a batch that stays the caller's. */
  async stepOn({ x, y }: Batch): Promise<number> {
    const parameters = this.net.parameters();
    const { value, grads } = tf.variableGrads(() => nllLoss(this.net.forward(x), y), parameters);
    const gradients = new Map<tf.Tensor, tf.Tensor>();
    for (const parameter of parameters) {
      const gradient = grads[parameter.name];
      if (gradient !== undefined) gradients.set(parameter, gradient);
    }
    this.optimizer.step(gradients);
    const [loss] = await value.data();
    tf.dispose([value, grads]);
    return loss as number;
  }

  async dispose(): Promise<void> {
    await this.#batches.return();
    this.optimizer.dispose();
    this.net.dispose();
  }
}
