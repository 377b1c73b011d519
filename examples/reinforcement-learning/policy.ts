/** Which action is how likely in which state. Knows nothing of agents and observers. */
import { tf } from 'gradwire';
import { Linear } from '../support/layers.ts';
import { Random } from '../support/random.ts';
import type { State } from './cart-pole.ts';

/** What the state is multiplied by, so that all four numbers are of about the same size. */
const SCALE: State = [1, 1, 5, 2];

export class Policy {
  readonly #affine1: Linear;
  readonly #affine2: Linear;

  constructor(seed: number) {
    this.#affine1 = new Linear(4, 32, new Random(seed, 'affine1'));
    this.#affine2 = new Linear(32, 2, new Random(seed, 'affine2'));
  }

  /** Log-probabilities `[states, 2]` of the two actions; the caller's. */
  forward(states: readonly State[]): tf.Tensor2D {
    return tf.tidy(() => {
      const x = tf.mul<tf.Tensor2D>(tf.tensor2d(states.flat(), [states.length, 4]), [SCALE]);
      return tf.logSoftmax(this.#affine2.forward(tf.relu(this.#affine1.forward(x))), 1);
    });
  }

  parameters(): tf.Variable[] {
    return [this.#affine1, this.#affine2].flatMap(({ weight, bias }): tf.Variable[] => [
      weight,
      bias,
    ]);
  }
}
