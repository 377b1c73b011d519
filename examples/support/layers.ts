/**
 * Four layers of PyTorch's torch.nn on tfjs, with its initial values and dropout that a seed reproduces. Images are
 * `[batch, height, width, channels]` here, and weights have tfjs's layouts.
 */
import { tf } from 'gradwire';
import type { Random } from './random.ts';

/** Convolution without padding, stride 1 (PyTorch: `nn.Conv2d(inChannels, outChannels, kernelSize)`). */
export class Conv2d {
  /** `[kernelSize, kernelSize, inChannels, outChannels]` */
  readonly weight: tf.Variable<tf.Rank.R4>;
  /** `[outChannels]` */
  readonly bias: tf.Variable<tf.Rank.R1>;

  constructor(inChannels: number, outChannels: number, kernelSize: number, random: Random) {
    const fanIn = inChannels * kernelSize * kernelSize;
    const shape: [number, number, number, number] = [
      kernelSize,
      kernelSize,
      inChannels,
      outChannels,
    ];
    this.weight = initial(shape, fanIn, random.derive('weight'));
    this.bias = initial([outChannels], fanIn, random.derive('bias'));
  }

  /** `[batch, height, width, inChannels]` to `[batch, height - kernelSize + 1, …, outChannels]`; the caller's result. */
  forward(x: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => tf.add(tf.conv2d(x, this.weight, 1, 'valid'), this.bias));
  }
}

/** Affine map (PyTorch: `nn.Linear(inFeatures, outFeatures)`). */
export class Linear {
  /** `[inFeatures, outFeatures]`, the transpose of PyTorch's. */
  readonly weight: tf.Variable<tf.Rank.R2>;
  /** `[outFeatures]` */
  readonly bias: tf.Variable<tf.Rank.R1>;

  constructor(inFeatures: number, outFeatures: number, random: Random) {
    this.weight = initial([inFeatures, outFeatures], inFeatures, random.derive('weight'));
    this.bias = initial([outFeatures], inFeatures, random.derive('bias'));
  }

  /** `[batch, inFeatures]` to `[batch, outFeatures]`; the caller's result. */
  forward(x: tf.Tensor2D): tf.Tensor2D {
    return tf.tidy(() => tf.add(tf.matMul(x, this.weight), this.bias));
  }
}

/**
 * What the two dropouts share: in training, step n of a layer drops what its stream says for n, and scales the rest by
 * 1 / (1 - rate), so that the mean stays; in evaluation x passes unchanged.
 */
abstract class Drop<X extends tf.Tensor> {
  /** Whether values are dropped; a new layer is in training, as in PyTorch. */
  training = true;
  readonly #rate: number;
  readonly #random: Random;
  #step = 0;

  constructor(rate: number, random: Random) {
    this.#rate = rate;
    this.#random = random;
  }

  /** Shape of the mask for values of shape `shape`: 1 where all values of an axis share their fate. */
  protected abstract maskShape(shape: readonly number[]): number[];

  /** A tensor of the shape of x, the caller's; x itself in evaluation. */
  forward(x: X): X {
    if (!this.training) return x;
    const shape = this.maskShape(x.shape);
    const random = this.#random.derive('step', this.#step++);
    const scale = 1 / (1 - this.#rate);
    const size = shape.reduce((product, axis) => product * axis, 1);
    const mask = Float32Array.from({ length: size }, () =>
      random.uniform() < this.#rate ? 0 : scale,
    );
    return tf.tidy(() => tf.mul<X>(x, tf.tensor(mask, shape)));
  }
}

/** Drops single values (PyTorch: `nn.Dropout`). */
export class Dropout extends Drop<tf.Tensor2D> {
  protected override maskShape(shape: readonly number[]): number[] {
    return [...shape];
  }
}

/** Drops whole channels of an image (PyTorch: `nn.Dropout2d`). */
export class Dropout2d extends Drop<tf.Tensor4D> {
  protected override maskShape([batch = 0, , , channels = 0]: readonly number[]): number[] {
    return [batch, 1, 1, channels];
  }
}

/**
 * PyTorch's initial values of Conv2d and Linear, weights and biases alike: uniform within ± 1 / sqrt(fanIn), which is
 * what `kaiming_uniform_(a=sqrt(5))` comes to.
 */
function initial<R extends tf.Rank>(
  shape: tf.ShapeMap[R],
  fanIn: number,
  random: Random,
): tf.Variable<R> {
  const bound = 1 / Math.sqrt(fanIn);
  const size = shape.reduce((product: number, axis: number) => product * axis, 1);
  const values = Float32Array.from({ length: size }, () => random.uniform(-bound, bound));
  // No name given: tfjs chooses one that is unique, so several nets can live in one process.
  return tf.tidy(() => tf.variable(tf.tensor<R>(values, shape)));
}
