/**
 * The two halves of a ConvNet, each to live on a worker of its own, and the model that pipelines micro-batches through them.
 * PyTorch: "Distributed Pipeline Parallelism Using RPC".
 */
import { rpc, tf } from 'gradwire';
import { Conv2d, Linear } from '../support/layers.ts';
import { Random } from '../support/random.ts';

/** What the halves share: an input behind a reference, and references to the parameters. */
abstract class Shard<X extends tf.Tensor, Y extends tf.Tensor> {
  protected abstract layers(): readonly (Conv2d | Linear)[];
  protected abstract compute(x: X): Y;

  /** Fetches the input from where it is, and gives the output. */
  async forward(xRRef: rpc.RRef<X>): Promise<Y> {
    const x = (await xRRef.toHere()) as X;
    xRRef.dispose();
    return this.compute(x);
  }

  parameterRRefs(): rpc.RRef<tf.Variable>[] {
    const parameters = this.layers().flatMap(({ weight, bias }): tf.Variable[] => [weight, bias]);
    return parameters.map((parameter) => new rpc.RRef(parameter));
  }
}

/** The first half: images `[batch, 28, 28, 1]` to `[batch, 12, 12, 16]`. */
export class ConvNetShard1 extends Shard<tf.Tensor4D, tf.Tensor4D> {
  readonly #conv1: Conv2d;
  readonly #conv2: Conv2d;

  constructor(seed: number) {
    super();
    this.#conv1 = new Conv2d(1, 16, 3, new Random(seed, 'conv1'));
    this.#conv2 = new Conv2d(16, 16, 3, new Random(seed, 'conv2'));
  }

  protected override layers(): readonly Conv2d[] {
    return [this.#conv1, this.#conv2];
  }

  protected override compute(x: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => {
      const y = tf.relu(this.#conv2.forward(tf.relu(this.#conv1.forward(x))));
      return tf.maxPool(y, 2, 2, 'valid');
    });
  }
}

/** The second half: `[batch, 12, 12, 16]` to log-probabilities `[batch, 10]`. */
export class ConvNetShard2 extends Shard<tf.Tensor4D, tf.Tensor2D> {
  readonly #conv3: Conv2d;
  readonly #conv4: Conv2d;
  readonly #fc: Linear;

  constructor(seed: number) {
    super();
    this.#conv3 = new Conv2d(16, 64, 3, new Random(seed, 'conv3'));
    this.#conv4 = new Conv2d(64, 32, 3, new Random(seed, 'conv4'));
    this.#fc = new Linear(4 * 4 * 32, 10, new Random(seed, 'fc'));
  }

  protected override layers(): readonly (Conv2d | Linear)[] {
    return [this.#conv3, this.#conv4, this.#fc];
  }

  protected override compute(x: tf.Tensor4D): tf.Tensor2D {
    return tf.tidy(() => {
      const y = tf.relu(this.#conv4.forward(tf.relu(this.#conv3.forward(x))));
      const flat = tf.reshape<tf.Rank.R2>(tf.maxPool(y, 2, 2, 'valid'), [x.shape[0], 512]);
      return tf.logSoftmax(this.#fc.forward(flat), 1);
    });
  }
}

rpc.register({ ConvNetShard1, ConvNetShard2 });

/** Assembles the two parts as one model, and defines how micro-batches go through it. */
export class DistConvNet {
  readonly #numSplits: number;
  readonly #p1RRef: rpc.RRef<ConvNetShard1>;
  readonly #p2RRef: rpc.RRef<ConvNetShard2>;

  /** @param numSplits into how many micro-batches each batch is split */
  constructor(numSplits: number, workers: readonly [string, string], seed: number) {
    this.#numSplits = numSplits;
    // Put the first part on worker 1, the second on worker 2.
    this.#p1RRef = rpc.remote(workers[0], ConvNetShard1, [seed]);
    this.#p2RRef = rpc.remote(workers[1], ConvNetShard2, [seed]);
  }

  /** Log-probabilities `[batch, 10]` of images `[batch, 28, 28, 1]`; `batch` is a multiple of the splits. */
  async forward(xs: tf.Tensor4D): Promise<tf.Tensor2D> {
    // Split the input batch into micro-batches, and collect async RPC futures into a list.
    const references: rpc.RRef<tf.Tensor4D>[] = [];
    const outFutures = tf.split<tf.Tensor4D>(xs, this.#numSplits).map((x) => {
      const xRRef = new rpc.RRef(x);
      const yRRef = this.#p1RRef.remote().forward(xRRef);
      references.push(xRRef, yRRef);
      return this.#p2RRef.rpcAsync().forward(yRRef);
    });
    try {
      // Collect and concatenate all output tensors into one.
      return tf.concat(await rpc.collectAll(outFutures));
    } finally {
      for (const reference of references) reference.dispose();
    }
  }

  async parameterRRefs(): Promise<rpc.RRef<tf.Variable>[]> {
    return [
      ...(await this.#p1RRef.rpcSync().parameterRRefs()),
      ...(await this.#p2RRef.rpcSync().parameterRRefs()),
    ];
  }

  /** Lets go of both parts. */
  dispose(): void {
    this.#p1RRef.dispose();
    this.#p2RRef.dispose();
  }
}
