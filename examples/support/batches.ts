/**
 * Batches of a data set for a training or test loop, after PyTorch's DataLoader with a DistributedSampler: shuffled by
 * seed and epoch, sharded over trainers. Holds one batch at a time and frees it.
 */
import { tf } from 'gradwire';
import { type Dataset, IMAGE_BYTES, IMAGE_SIZE } from './dataset.ts';
import { Random } from './random.ts';

/** One batch; it belongs to the iterator, which frees it on the next step and at the end of the loop. */
export interface Batch {
  /** `[batch, 28, 28, 1]` float32, normalised by the data set's mean and standard deviation. */
  readonly x: tf.Tensor4D;
  /** `[batch]` int32, classes 0 to 9. */
  readonly y: tf.Tensor1D;
}

export interface BatchOptions {
  /** Default 32. The last batch of an epoch may be smaller. */
  readonly batchSize?: number;
  /** Default 1. Trainers of one job must share it, or their shards overlap. */
  readonly seed?: number;
  /** Whether each epoch has an order of its own; else the order of the data set. Default true. */
  readonly shuffle?: boolean;
  /** Which shard of each epoch this is, `0 <= rank < of`. Default 0. */
  readonly rank?: number;
  /** Number of shards: disjoint, together the whole epoch, sizes equal to one image. Default 1. */
  readonly of?: number;
  /** End after this many passes over the shard. Default 1, without bound if `iterations` is given. */
  readonly epochs?: number;
  /** End after this many batches, going through as many epochs as it takes. */
  readonly iterations?: number;
}

/** Batches of a data set; each loop over it starts again from the first epoch and sees the same batches. */
export class Batches implements AsyncIterable<Batch> {
  /** Number of batches of one loop. */
  readonly length: number;
  readonly #dataset: Dataset;
  readonly #batchSize: number;
  readonly #seed: number;
  readonly #shuffle: boolean;
  readonly #rank: number;
  readonly #of: number;
  /** Normalised value of each byte. */
  readonly #values: Float32Array;

  /** @throws Error if an option is not a whole number in its range, or the shard has no image */
  constructor(dataset: Dataset, options: BatchOptions = {}) {
    const { batchSize = 32, seed = 1, shuffle = true, rank = 0, of = 1, iterations } = options;
    const { epochs = iterations === undefined ? 1 : Number.POSITIVE_INFINITY } = options;
    requireInteger('batchSize', batchSize, 1);
    requireInteger('of', of, 1);
    requireInteger('rank', rank, 0);
    if (options.epochs !== undefined) requireInteger('epochs', epochs, 0);
    if (iterations !== undefined) requireInteger('iterations', iterations, 0);
    if (rank >= of) throw new Error(`Batches: rank ${rank} is not below of (${of})`);
    const shard = Math.ceil((dataset.count - rank) / of);
    if (shard < 1) throw new Error(`Batches: ${dataset.count} images are too few for ${of} shards`);
    this.length = Math.min(
      iterations ?? Number.POSITIVE_INFINITY,
      Math.ceil(shard / batchSize) * epochs,
    );
    this.#dataset = dataset;
    this.#batchSize = batchSize;
    this.#seed = seed;
    this.#shuffle = shuffle;
    this.#rank = rank;
    this.#of = of;
    this.#values = Float32Array.from(
      { length: 256 },
      (_, byte) => (byte / 255 - dataset.mean) / dataset.std,
    );
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Batch, void, void> {
    let left = this.length;
    for (let epoch = 0; left > 0; epoch++) {
      const shard = this.#shard(epoch);
      for (let from = 0; from < shard.length && left > 0; from += this.#batchSize, left--) {
        const batch = this.#load(shard.subarray(from, from + this.#batchSize));
        try {
          yield batch;
        } finally {
          batch.x.dispose();
          batch.y.dispose();
        }
      }
    }
  }

  /** Positions of this shard's images in an epoch's order, which all shards share. */
  #shard(epoch: number): Uint32Array {
    const order = Uint32Array.from({ length: this.#dataset.count }, (_, i) => i);
    if (this.#shuffle) new Random(this.#seed, 'epoch', epoch).shuffle(order);
    return order.filter((_, position) => position % this.#of === this.#rank);
  }

  #load(indices: Uint32Array): Batch {
    const pixels = new Float32Array(indices.length * IMAGE_BYTES);
    const labels = new Int32Array(indices.length);
    indices.forEach((index, row) => {
      const image = this.#dataset.images.subarray(index * IMAGE_BYTES, (index + 1) * IMAGE_BYTES);
      for (let pixel = 0; pixel < IMAGE_BYTES; pixel++) {
        pixels[row * IMAGE_BYTES + pixel] = this.#values[image[pixel] as number] as number;
      }
      labels[row] = this.#dataset.labels[index] as number;
    });
    // Kept: the batch lives until the next one, also where the loop runs in a scope that frees what it sees made.
    return {
      x: tf.keep(tf.tensor4d(pixels, [indices.length, IMAGE_SIZE, IMAGE_SIZE, 1])),
      y: tf.keep(tf.tensor1d(labels, 'int32')),
    };
  }
}

function requireInteger(name: string, value: number, least: number): void {
  if (!Number.isSafeInteger(value) || value < least) {
    throw new Error(`Batches: ${name} is ${value}, expected a whole number of at least ${least}`);
  }
}
