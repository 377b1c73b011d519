/** Layers of tfjs-layers build, apply and train on both engines: they need the chained methods and every repaired kernel. */
import { expect, test } from '@jest/globals';
import { startEngine, tf } from '../../tensor/index.ts';
import { ENGINES, noise } from './support.ts';

const MODELS: readonly (readonly [string, () => tf.Sequential, number[]])[] = [
  [
    'dense and layer normalization',
    () =>
      tf.sequential({
        layers: [
          tf.layers.dense({ units: 4, activation: 'relu', inputShape: [3] }),
          tf.layers.layerNormalization(),
          tf.layers.dense({ units: 2, activation: 'softmax' }),
        ],
      }),
    [2, 3],
  ],
  [
    'convolution and batch normalization',
    () =>
      tf.sequential({
        layers: [
          tf.layers.conv2d({ filters: 3, kernelSize: 3, inputShape: [8, 8, 2] }),
          tf.layers.batchNormalization(),
          tf.layers.maxPooling2d({ poolSize: 2 }),
          tf.layers.flatten(),
        ],
      }),
    [2, 8, 8, 2],
  ],
  [
    'embedding and LSTM',
    () =>
      tf.sequential({
        layers: [
          tf.layers.embedding({ inputDim: 5, outputDim: 3, inputLength: 4 }),
          tf.layers.lstm({ units: 3, returnSequences: true }),
          tf.layers.lstm({ units: 2 }),
        ],
      }),
    [2, 4],
  ],
  [
    'GRU',
    () => tf.sequential({ layers: [tf.layers.gru({ units: 3, inputShape: [4, 2] })] }),
    [2, 4, 2],
  ],
];

for (const engine of ENGINES) {
  test.each(MODELS)(`%s on ${engine}`, async (name, build, shape) => {
    await startEngine(engine);
    const before = tf.memory().numTensors;
    const model = build();
    const x = name.startsWith('embedding') ? tf.ones(shape) : noise(shape);
    const { value, grads } = tf.tidy(() =>
      tf.variableGrads(() => tf.sum(tf.square(model.apply(x, { training: true }) as tf.Tensor))),
    );
    expect(value.dataSync()[0]).toBeGreaterThan(0);
    const trainable = model.trainableWeights.map((weight) => weight.read());
    expect(Object.keys(grads)).toHaveLength(trainable.length);
    for (const grad of Object.values(grads)) {
      expect(Array.from(grad.dataSync()).every(Number.isFinite)).toBe(true);
    }
    tf.dispose([x, value, grads]);
    model.dispose();
    // tfjs keeps a few scalars of its own for good (backend constants of its layers).
    expect(tf.memory().numTensors - before).toBeLessThanOrEqual(3);
    await startEngine('wasm');
  });
}

test('only what is missing is added, and none of it is enumerable', () => {
  const own: unknown = tf.Tensor.prototype.dataSync;
  expect(own).toBe(Object.getOwnPropertyDescriptor(tf.Tensor.prototype, 'dataSync')?.value);
  expect(Object.keys(tf.Tensor.prototype)).not.toContain('flatten');
  expect('flatten' in tf.Tensor.prototype).toBe(true);
});
