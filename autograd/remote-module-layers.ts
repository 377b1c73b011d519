/**
 * Models of tf.layers as modules that other workers call and train. Knows nothing of workers: it is a class like those that
 * users write.
 */
import { GradwireError } from '../errors.ts';
import { register } from '../rpc/index.ts';
import { tf } from '../tensor/index.ts';
import type { Module } from './remote-module-calls.ts';

/**
 * A module around a model of tf.layers, for RemoteModule; `O` is its output, `tf.Tensor[]` for a model of several. Make a
 * class of your own that builds the model where it lives, and register that:
 *
 *     class Encoder extends autograd.LayersModule {
 *       constructor(units: number) {
 *         super(tf.sequential({ layers: [tf.layers.dense({ units, inputShape: [4] })] }));
 *       }
 *     }
 *     rpc.register({ Encoder });
 *     const encoder = new autograd.RemoteModule('server', Encoder, [8]);
 *
 * Gradients are those of the trainable weights. Optimizer and loss of the model itself are not used: it is not compiled.
 */
export class LayersModule<O extends tf.Tensor | tf.Tensor[] = tf.Tensor> implements Module {
  readonly #model: tf.LayersModel;
  #isTraining = true;

  /**
   * @param model built: its first layer has an `inputShape`. The module owns its weights and frees them.
   * @throws GradwireError `invalid_argument`
   */
  constructor(model: tf.LayersModel) {
    if (!(model instanceof tf.LayersModel) || !model.outputs?.length) {
      throw new GradwireError(
        'invalid_argument',
        'LayersModule takes a built model of tf.layers: give its first layer an inputShape',
      );
    }
    this.#model = model;
  }

  /** The output for the inputs of the model, a tensor for each; the caller's. */
  forward(...inputs: tf.Tensor[]): O {
    const [only, ...others] = inputs;
    const x = only !== undefined && others.length === 0 ? only : inputs;
    return this.#model.apply(x, { training: this.#isTraining }) as O;
  }

  /** The trainable weights, layer by layer; they stay the module's. */
  parameters(): tf.Variable[] {
    return this.#model.trainableWeights.map((weight) => weight.read() as tf.Variable);
  }

  /** Whether layers such as dropout and batch normalization are in training, as at first, or with false in use. */
  train(mode = true): void {
    this.#isTraining = mode;
  }

  eval(): void {
    this.train(false);
  }

  /** Frees all weights. Idempotent. */
  [Symbol.dispose](): void {
    for (const { val } of this.#model.weights as unknown as { val: tf.Variable }[]) {
      // One that is freed already may have given its name to another.
      if (!val.isDisposed) val.dispose();
    }
  }
}

register({ 'gradwire.LayersModule': LayersModule });
