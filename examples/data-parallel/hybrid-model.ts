/**
 * The model of PyTorch's tutorial "Combining Distributed DataParallel with Distributed RPC Framework": a sparse part, the
 * embedding, on a parameter server, and a dense part, of which every trainer has a replica.
 */
import { autograd, rpc, tf } from 'gradwire';
import { Linear } from '../support/layers.ts';
import { Random } from '../support/random.ts';
import { NUM_CLASSES, NUM_EMBEDDINGS } from './bags.ts';

export const EMBEDDING_DIM = 16;

/** Sums of embeddings, with sparse gradients (PyTorch: `nn.EmbeddingBag(…, mode="sum", sparse=True)`). */
export class EmbeddingBag implements autograd.Module {
  readonly #weight: tf.Variable<tf.Rank.R2>;

  constructor(numEmbeddings: number, embeddingDim: number, seed: number) {
    const random = new Random(seed, 'embedding');
    const values = Float32Array.from({ length: numEmbeddings * embeddingDim }, () => {
      return random.normal(0, 0.3);
    });
    this.#weight = tf.tidy(() => tf.variable(tf.tensor2d(values, [numEmbeddings, embeddingDim])));
    // A step changes the rows that it looked up, and no other.
    autograd.sparseGradient(this.#weight);
  }

  /** Items `[n]` and the bag `[n]` of each, below `count`, to `[count, embeddingDim]`. */
  forward(items: tf.Tensor1D, bags: tf.Tensor1D, count: number): tf.Tensor2D {
    return tf.tidy(() => tf.unsortedSegmentSum(tf.gather(this.#weight, items), bags, count));
  }

  parameters(): tf.Variable[] {
    return [this.#weight];
  }
}

rpc.register({ EmbeddingBag });

export type RemoteEmbedding = autograd.RemoteModule<EmbeddingBag>;

/** The embedding is looked up remotely; the linear layer on top of it is local. */
export class HybridModel {
  readonly remoteEmbModule: RemoteEmbedding;
  readonly fc: Linear;

  /** @param seed the same on all trainers, so that their replicas begin alike */
  constructor(remoteEmbModule: RemoteEmbedding, seed: number) {
    this.remoteEmbModule = remoteEmbModule;
    this.fc = new Linear(EMBEDDING_DIM, NUM_CLASSES, new Random(seed, 'fc'));
  }

  /** Scores `[count, NUM_CLASSES]`. */
  async forward(items: tf.Tensor1D, bags: tf.Tensor1D, count: number): Promise<tf.Tensor2D> {
    const embLookup = await this.remoteEmbModule.forward(items, bags, count);
    return this.fc.forward(embLookup);
  }

  /** Those of the dense part. */
  parameters(): tf.Variable[] {
    return [this.fc.weight, this.fc.bias];
  }

  dispose(): void {
    tf.dispose(this.parameters());
    this.remoteEmbModule.dispose();
  }
}

export const EMBEDDING: [number, number] = [NUM_EMBEDDINGS, EMBEDDING_DIM];
