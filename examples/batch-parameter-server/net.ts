/** A small classifier of digits. Knows nothing of servers and trainers. */
import { tf } from 'gradwire';
import { Linear } from '../support/layers.ts';
import { Random } from '../support/random.ts';

/** Two linear layers: 50,890 parameters. */
export class Net {
  readonly #fc1: Linear;
  readonly #fc2: Linear;

  /** The net owns its variables: `dispose` it. */
  constructor(seed: number) {
    this.#fc1 = new Linear(784, 64, new Random(seed, 'fc1'));
    this.#fc2 = new Linear(64, 10, new Random(seed, 'fc2'));
  }

  /** Images `[batch, 28, 28, 1]` to log-probabilities `[batch, 10]`; the caller's. */
  forward(images: tf.Tensor4D): tf.Tensor2D {
    return tf.tidy(() => {
      const flat = tf.reshape<tf.Rank.R2>(images, [images.shape[0], 784]);
      return tf.logSoftmax(this.#fc2.forward(tf.relu(this.#fc1.forward(flat))), 1);
    });
  }

  /** They stay the net's. */
  parameters(): tf.Variable[] {
    return [this.#fc1, this.#fc2].flatMap(({ weight, bias }): tf.Variable[] => [weight, bias]);
  }

  /** Takes over the values of another net, in the order of `parameters`, and frees them. */
  load(values: readonly tf.Tensor[]): void {
    this.parameters().forEach((parameter, i) => {
      parameter.assign(values[i] as tf.Tensor);
    });
    tf.dispose([...values]);
  }

  dispose(): void {
    tf.dispose(this.parameters());
  }
}
