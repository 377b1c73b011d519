/** A trainer: computes gradients with its copy of the model, reports them, and goes on with what comes back. */
import { rpc, tf } from 'gradwire';
import { Batches } from '../support/batches.ts';
import { generateDigits } from '../support/digits.ts';
import { nllLoss } from '../support/losses.ts';
import { Progress } from '../support/progress.ts';
import { Net } from './net.ts';
import type { BatchUpdateParameterServer } from './parameter-server.ts';

export interface TrainerOptions {
  /** Which part of the data this trainer has, `0 <= shard < shards`. */
  readonly shard: number;
  readonly shards: number;
  readonly iterations: number;
  readonly batchSize: number;
  /** How many images there are in all shards. */
  readonly images: number;
  readonly seed: number;
}

export class Trainer {
  readonly #psRRef: rpc.RRef<BatchUpdateParameterServer>;
  readonly #batches: Batches;
  readonly #model: Net;

  constructor(psRRef: rpc.RRef<BatchUpdateParameterServer>, options: TrainerOptions) {
    const { shard: rank, shards: of, iterations, batchSize, images, seed } = options;
    this.#psRRef = psRRef;
    this.#model = new Net(seed);
    const digits = generateDigits({ count: images, seed });
    this.#batches = new Batches(digits, { batchSize, iterations, seed, rank, of });
  }

  /** The loss of each batch, also told as it becomes known. */
  async train(onLoss: (loss: number, step: number) => void = () => {}): Promise<number[]> {
    const losses: number[] = [];
    const parameters = this.#model.parameters();
    // Get the initial model parameters.
    this.#model.load(await this.#psRRef.rpcSync().getModel());
    for await (const { x: inputs, y: labels } of this.#batches) {
      const { value: loss, grads } = tf.variableGrads(
        () => nllLoss(this.#model.forward(inputs), labels),
        parameters,
      );
      const value = (await loss.data())[0] as number;
      const reported = parameters.map((parameter) => grads[parameter.name] as tf.Tensor);
      // Report gradients and fetch the updated model.
      this.#model.load(await this.#psRRef.rpcSync().updateAndFetchModel(reported));
      tf.dispose([loss, ...reported]);
      onLoss(value, losses.push(value));
    }
    return losses;
  }

  dispose(): void {
    this.#model.dispose();
    this.#psRRef.dispose();
  }
}

/** Called by the server on each trainer. */
export async function runTrainer(
  psRRef: rpc.RRef<BatchUpdateParameterServer>,
  options: TrainerOptions,
): Promise<number[]> {
  const trainer = new Trainer(psRRef, options);
  const progress = new Progress({ label: rpc.getWorkerInfo().name, total: options.iterations });
  try {
    return await trainer.train((loss, step) => progress.update(step, { loss }));
  } finally {
    progress.end();
    trainer.dispose();
  }
}

rpc.register({ runTrainer });
