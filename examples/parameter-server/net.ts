/**
 * The ConvNet of PyTorch's tutorial "Implementing a Parameter Server Using Distributed RPC Framework", line by line.
 * A plain class: it knows nothing of servers, trainers or gradients.
 */
import { tf } from 'gradwire';
import { Conv2d, Dropout, Dropout2d, Linear } from '../support/layers.ts';
import { Random } from '../support/random.ts';

/** Classifies images of digits. 1,199,882 parameters. */
export class Net {
  readonly conv1: Conv2d;
  readonly conv2: Conv2d;
  readonly dropout1: Dropout2d;
  readonly dropout2: Dropout;
  readonly fc1: Linear;
  readonly fc2: Linear;

  /** The seed (default 1) gives the initial values and every dropout mask. The net owns its variables: `dispose` it. */
  constructor({ seed = 1 }: { readonly seed?: number } = {}) {
    const random = new Random(seed, 'net');
    this.conv1 = new Conv2d(1, 32, 3, random.derive('conv1'));
    this.conv2 = new Conv2d(32, 64, 3, random.derive('conv2'));
    this.dropout1 = new Dropout2d(0.25, random.derive('dropout1'));
    this.dropout2 = new Dropout(0.5, random.derive('dropout2'));
    this.fc1 = new Linear(9216, 128, random.derive('fc1'));
    this.fc2 = new Linear(128, 10, random.derive('fc2'));
  }

  /** Log-probabilities `[batch, 10]` of images `[batch, 28, 28, 1]`; the result is the caller's. */
  forward(images: tf.Tensor4D): tf.Tensor2D {
    return tf.tidy(() => {
      let x = tf.relu(this.conv1.forward(images)); // [batch, 26, 26, 32]
      x = tf.maxPool(this.conv2.forward(x), 2, 2, 'valid'); // [batch, 12, 12, 64]
      x = this.dropout1.forward(x);
      let flat = tf.reshape<tf.Rank.R2>(x, [images.shape[0], 9216]);
      flat = tf.relu(this.fc1.forward(flat)); // [batch, 128]
      flat = this.dropout2.forward(flat);
      return tf.logSoftmax(this.fc2.forward(flat), 1);
    });
  }

  /** Turns dropout on, or off with false. */
  train(mode = true): this {
    this.dropout1.training = mode;
    this.dropout2.training = mode;
    return this;
  }

  /** Turns dropout off: the same images then give the same result. */
  eval(): this {
    return this.train(false);
  }

  /** The parameters by PyTorch's names, in its order; they stay the net's. */
  namedParameters(): Map<string, tf.Variable> {
    const named = new Map<string, tf.Variable>();
    for (const name of ['conv1', 'conv2', 'fc1', 'fc2'] as const) {
      named.set(`${name}.weight`, this[name].weight);
      named.set(`${name}.bias`, this[name].bias);
    }
    return named;
  }

  /** The parameters in PyTorch's order; they stay the net's. */
  parameters(): tf.Variable[] {
    return [...this.namedParameters().values()];
  }

  /** Frees the parameters. */
  dispose(): void {
    for (const parameter of this.parameters()) parameter.dispose();
  }
}
