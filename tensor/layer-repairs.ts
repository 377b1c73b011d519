/**
 * What is wrong with layers of tfjs-layers, whatever the engine, and what stands in its place: one table, installed when the
 * package is loaded. Their classes are not exported, so a layer of each gives its prototype.
 */
import * as core from '@tensorflow/tfjs-core';
import { layers } from '@tensorflow/tfjs-layers';

type Inputs = core.Tensor | core.Tensor[];
type Call = (this: never, inputs: Inputs, kwargs: object) => Inputs;

/** One method `call` that is replaced. */
export interface LayerRepair {
  /** By its name in tf.layers. */
  readonly layer: string;
  readonly reason: string;
  /** The prototype whose own `call` it is. */
  readonly prototype: { call: Call };
  readonly run: Call;
}

interface Weight {
  read(): core.Tensor;
}

/** What is used of a convolution. Its sizes are lists, one number for each spatial axis. */
interface Convolution {
  readonly rank: number;
  readonly kernel: Weight;
  readonly bias: Weight | null;
  readonly strides: [number, number];
  readonly padding: 'valid' | 'same';
  readonly dataFormat: 'channelsFirst' | 'channelsLast';
  readonly dilationRate: [number, number];
  readonly activation: { apply(x: core.Tensor): core.Tensor } | null;
}

/** What is used of a batch normalization. */
interface Normalization {
  center: boolean;
  scale: boolean;
  beta: Weight | undefined;
  gamma: Weight | undefined;
  readonly movingMean: Weight;
}

const convolution = ownerOf(layers.conv2d({ filters: 1, kernelSize: 1 }));
const normalization = ownerOf(layers.batchNormalization());

/** Every layer that is replaced, and why. */
export const LAYER_REPAIRS: readonly LayerRepair[] = [
  {
    layer: 'conv2d',
    reason: 'the fused convolution refuses gradients where it is dilated',
    prototype: convolution,
    run: unfusedWhereDilated(convolution.call),
  },
  {
    layer: 'batchNormalization',
    reason: 'cannot be trained without scale or without centre',
    prototype: normalization,
    run: withBothWeights(normalization.call),
  },
];

/** Puts every replacement in place. */
function installLayers(): void {
  for (const { prototype, run } of LAYER_REPAIRS) prototype.call = run;
}

function ownerOf(layer: object): { call: Call } {
  let owner: object = Object.getPrototypeOf(layer);
  while (!Object.hasOwn(owner, 'call')) owner = Object.getPrototypeOf(owner);
  return owner as { call: Call };
}

function unfusedWhereDilated(original: Call): Call {
  return function (this: Convolution, inputs, kwargs) {
    if (this.rank !== 2 || this.dilationRate.every((rate) => rate === 1)) {
      return original.call(this as never, inputs, kwargs);
    }
    return core.tidy(() => {
      const isFirst = this.dataFormat === 'channelsFirst';
      const [x] = [inputs].flat() as [core.Tensor4D];
      const image = isFirst ? core.transpose(x, [0, 2, 3, 1]) : x;
      const kernel = this.kernel.read() as core.Tensor4D;
      const { strides, padding, dilationRate } = this;
      let y: core.Tensor = core.conv2d(image, kernel, strides, padding, 'NHWC', dilationRate);
      if (this.bias != null) y = core.add(y, this.bias.read());
      if (isFirst) y = core.transpose(y, [0, 3, 1, 2]);
      return this.activation == null ? y : this.activation.apply(y);
    });
  };
}

function withBothWeights(original: Call): Call {
  return function (this: Normalization, inputs, kwargs) {
    const { center, scale, beta, gamma } = this;
    if (center && scale) return original.call(this as never, inputs, kwargs);
    const { shape } = this.movingMean.read();
    this.center = true;
    this.scale = true;
    this.beta = beta ?? { read: () => core.zeros(shape) };
    this.gamma = gamma ?? { read: () => core.ones(shape) };
    try {
      return original.call(this as never, inputs, kwargs);
    } finally {
      Object.assign(this, { center, scale, beta, gamma });
    }
  };
}

installLayers();
