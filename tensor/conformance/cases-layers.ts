/** Layers that look at elements, rows and batches; their weights are inputs too. */
import * as tf from '../tf.ts';
import { type Case, called, layer, training } from './case.ts';

const { layers } = tf;

const ACTIVATIONS = [
  ...['elu', 'gelu', 'gelu_new', 'hardSigmoid', 'linear', 'logSoftmax', 'mish', 'relu', 'relu6'],
  ...['selu', 'sigmoid', 'softmax', 'softplus', 'softsign', 'swish', 'tanh'],
] as const;

/** The names that TypeScript knows are fewer than those that there are. */
type Activation = Parameters<typeof layers.activation>[0]['activation'];

const dense: readonly Case[] = [
  layer('dense', () => layers.dense({ units: 4 }), [[3, 5]], [[2, 3, 5]]),
  layer('dense without bias', () => layers.dense({ units: 4, useBias: false }), [[3, 5]]),
  ...(['relu', 'sigmoid', 'tanh', 'softmax', 'elu'] as const).map((activation) =>
    layer(`dense ${activation}`, () => layers.dense({ units: 4, activation }), [[3, 5]]),
  ),
  ...ACTIVATIONS.map((name) =>
    layer(`activation ${name}`, () => layers.activation({ activation: name as Activation }), [
      [3, 5],
    ]),
  ),
  layer('elu', () => layers.elu({ alpha: 1 }), [[3, 5]]),
  layer('reLU', () => layers.reLU({ maxValue: 1.1 }), [[3, 5]]),
  layer('leakyReLU', () => layers.leakyReLU({ alpha: 0.2 }), [[3, 5]]),
  layer('thresholdedReLU', () => layers.thresholdedReLU({ theta: 0.7 }), [[3, 5]]),
  layer('prelu', () => layers.prelu(), [[3, 5]], [[2, 3, 4]]),
  layer('prelu, axes shared', () => layers.prelu({ sharedAxes: [1, 2] }), [[2, 3, 2, 4]]),
  layer('softmax', () => layers.softmax({ axis: -1 }), [[3, 5]], [[2, 3, 4]]),
  called(
    'embedding',
    () => layers.embedding({ inputDim: 6, outputDim: 3 }),
    (made) => made.apply(tf.tensor([1, 4, 1, 0, 5, 4], [2, 3], 'int32')) as tf.Tensor,
    [],
  ),
];

const norms: readonly Case[] = [
  training('batchNormalization in training', () => layers.batchNormalization(), [[6, 3]]),
  training('batchNormalization in training, images', () => layers.batchNormalization(), [
    [2, 3, 3, 2],
  ]),
  training('batchNormalization in training, axis 1', () => layers.batchNormalization({ axis: 1 }), [
    [4, 3, 2],
  ]),
  training(
    'batchNormalization in training, of other epsilon',
    () => layers.batchNormalization({ epsilon: 0.1, momentum: 0.5 }),
    [[6, 3]],
  ),
  training(
    'batchNormalization in training, not scaled',
    () => layers.batchNormalization({ scale: false }),
    [[6, 3]],
  ),
  training(
    'batchNormalization in training, axis 1, not centred',
    () => layers.batchNormalization({ axis: 1, center: false }),
    [[4, 3, 2]],
  ),
  layer(
    'batchNormalization without weights',
    () => layers.batchNormalization({ center: false, scale: false }),
    [[6, 3]],
  ),
  layer('batchNormalization', () => layers.batchNormalization(), [[6, 3]], [[2, 3, 3, 2]]),
  layer('batchNormalization, axis 1', () => layers.batchNormalization({ axis: 1 }), [[4, 3, 2]]),
  layer('layerNormalization', () => layers.layerNormalization(), [[4, 6]], [[2, 3, 5]]),
  layer('layerNormalization, two axes', () => layers.layerNormalization({ axis: [1, 2] }), [
    [2, 3, 4],
  ]),
];

const merges: readonly Case[] = [
  layer('add', () => layers.add(), [
    [2, 3],
    [2, 3],
    [2, 3],
  ]),
  layer('multiply', () => layers.multiply(), [
    [2, 3],
    [2, 3],
    [2, 3],
  ]),
  layer('average', () => layers.average(), [
    [2, 3],
    [2, 3],
  ]),
  layer('maximum', () => layers.maximum(), [
    [2, 3],
    [2, 3],
  ]),
  layer('minimum', () => layers.minimum(), [
    [2, 3],
    [2, 3],
  ]),
  layer('concatenate', () => layers.concatenate(), [
    [2, 3],
    [2, 4],
  ]),
  layer('concatenate, axis 1', () => layers.concatenate({ axis: 1 }), [
    [2, 2, 3],
    [2, 1, 3],
  ]),
  layer('dot', () => layers.dot({ axes: -1 }), [
    [3, 4],
    [3, 4],
  ]),
  layer('dot, normalized', () => layers.dot({ axes: 1, normalize: true }), [
    [3, 4],
    [3, 4],
  ]),
  layer('dot of matrices', () => layers.dot({ axes: [2, 1] }), [
    [2, 3, 4],
    [2, 4, 2],
  ]),
];

const shapes: readonly Case[] = [
  layer('flatten', () => layers.flatten(), [[2, 3, 4]]),
  layer('reshape', () => layers.reshape({ targetShape: [2, -1] }), [[2, 3, 4]]),
  layer('permute', () => layers.permute({ dims: [2, 1] }), [[2, 3, 4]]),
  layer('repeatVector', () => layers.repeatVector({ n: 3 }), [[2, 4]]),
  layer('rescaling', () => layers.rescaling({ scale: 0.5, offset: 1 }), [[2, 3]]),
  // A model hands masks on, which layers called one by one do not.
  layer(
    'masking',
    () =>
      tf.sequential({
        layers: [
          layers.masking({ maskValue: 0, inputShape: [4, 2] }),
          layers.simpleRNN({ units: 3, returnSequences: true }),
        ],
      }),
    [[2, 4, 2]],
  ),
];

/** The numbers are random, but the same on all engines and at each call. */
const noises: readonly Case[] = [
  training('dropout', () => layers.dropout({ rate: 0.4, seed: 3 }), [[4, 5]]),
  training('dropout by rows', () => layers.dropout({ rate: 0.5, seed: 3, noiseShape: [4, 1] }), [
    [4, 5],
  ]),
  training('spatialDropout1d', () => layers.spatialDropout1d({ rate: 0.4, seed: 3 }), [[3, 4, 5]]),
  training('alphaDropout', () => layers.alphaDropout({ rate: 0.4 }), [[4, 5]]),
  training('gaussianNoise', () => layers.gaussianNoise({ stddev: 0.5 }), [[4, 5]]),
  training('gaussianDropout', () => layers.gaussianDropout({ rate: 0.4 }), [[4, 5]]),
];

export const LAYER_CASES: readonly Case[] = [...dense, ...norms, ...merges, ...shapes, ...noises];
