/** Models of tf.layers as remote modules: each kind of layer gives the output and the gradients that it gives in one process. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { autograd, optim, rpc, tf } from '../../index.ts';
import { referenceGradients } from '../support/gradients.ts';
import { expectNoLeak } from '../support/leaks.ts';
import { randomTensor, relativeDifference } from '../support/numbers.ts';
import { until } from '../support/until.ts';
import { CARRIERS, clean, startTeam, type Team } from './support.ts';

type Layer = Parameters<tf.Sequential['add']>[0];

interface Kind {
  readonly inputShape: number[];
  /** Whole numbers below this as inputs; else any numbers. */
  readonly classes?: number;
  /** Whether the gradients are to be sparse. */
  readonly isSparse?: boolean;
  readonly layers: (inputShape: number[]) => Layer[];
}

const normal = (seed: number) => tf.initializers.randomNormal({ stddev: 0.4, seed });
const weights = { kernelInitializer: normal(1), biasInitializer: normal(2) };
const recurrent = { ...weights, recurrentInitializer: normal(3) };

const embedding = ([inputLength]: number[]): Layer[] => [
  tf.layers.embedding({
    inputDim: 6,
    outputDim: 4,
    inputLength: inputLength as number,
    embeddingsInitializer: normal(1),
  }),
];

const KINDS: Readonly<Record<string, Kind>> = {
  dense: {
    inputShape: [5],
    layers: (inputShape) => [
      tf.layers.dense({ units: 4, inputShape, activation: 'tanh', ...weights }),
    ],
  },
  conv: {
    inputShape: [6, 6, 2],
    layers: (inputShape) => [
      tf.layers.conv2d({ filters: 3, kernelSize: 3, inputShape, activation: 'relu', ...weights }),
      tf.layers.maxPooling2d({ poolSize: 2 }),
    ],
  },
  'batch norm': {
    inputShape: [4],
    layers: (inputShape) => [tf.layers.batchNormalization({ inputShape, momentum: 0.5 })],
  },
  embedding: { inputShape: [3], classes: 6, layers: embedding },
  'embedding with sparse gradients': {
    inputShape: [3],
    classes: 6,
    isSparse: true,
    layers: embedding,
  },
  LSTM: {
    inputShape: [4, 3],
    layers: (inputShape) => [tf.layers.lstm({ units: 4, inputShape, ...recurrent })],
  },
  GRU: {
    inputShape: [4, 3],
    layers: (inputShape) => [
      tf.layers.gru({ units: 4, inputShape, returnSequences: true, ...recurrent }),
    ],
  },
  'layer norm': {
    inputShape: [5],
    layers: (inputShape) => [tf.layers.layerNormalization({ inputShape })],
  },
};

class LayerOf extends autograd.LayersModule {
  constructor(kind: string) {
    const { layers, inputShape, isSparse } = KINDS[kind] as Kind;
    super(tf.sequential({ layers: layers(inputShape) }));
    if (isSparse) for (const weight of this.parameters()) autograd.sparseGradient(weight);
  }
}

/** A dense model with dropout and two inputs. */
class Mixed extends autograd.LayersModule {
  constructor() {
    const [a, b] = [tf.input({ shape: [3] }), tf.input({ shape: [3] })];
    const sum = tf.layers.add().apply([a, b]) as tf.SymbolicTensor;
    const kept = tf.layers.dropout({ rate: 0.99, seed: 1 }).apply(sum) as tf.SymbolicTensor;
    const y = tf.layers.dense({ units: 2, ...weights }).apply(kept) as tf.SymbolicTensor;
    super(tf.model({ inputs: [a, b], outputs: y }));
  }
}

rpc.register({ LayerOf, Mixed });

function inputs({ inputShape, classes }: Kind, seed: number): tf.Tensor {
  const shape = [4, ...inputShape];
  if (classes === undefined) return randomTensor(shape, seed);
  return tf.tidy(() => tf.floor(tf.mul(tf.abs(randomTensor(shape, seed, 0.999)), classes)));
}

const lossOf = (y: tf.Tensor): tf.Scalar => tf.mean(tf.mul(tf.square(y), tf.add(y, 2)));

describe.each(CARRIERS)('over %s', (carrier) => {
  let team: Team;
  beforeAll(async () => {
    team = await startTeam(2, carrier);
  });
  afterAll(() => team.stop());

  test.each(Object.keys(KINDS))('%s: forward, backward and step', (name) =>
    clean(team, () =>
      team.as(0, async () => {
        const x = inputs(KINDS[name] as Kind, 3);
        const here = new LayerOf(name);
        const module = new autograd.RemoteModule('w1', LayerOf, [name]);
        const parameters = await module.remoteParameters();
        const optimizer = new optim.DistributedOptimizer(optim.SGD, parameters, { lr: 0.1 });
        const sgd = new optim.SGD(here.parameters(), { lr: 0.1 });
        expect(parameters.length).toBe(here.parameters().length);
        expect(parameters.length).toBeGreaterThan(0);
        for (let step = 0; step < 3; step++) {
          const expected = referenceGradients(() => lossOf(here.forward(x)), here.parameters());
          sgd.step(expected);
          const output = here.forward(x);
          await autograd.context(async (id) => {
            await autograd.backward(id, [lossOf(await module.forward(x))]);
            await optimizer.step(id);
          });
          const there = await module.forward(x);
          expect(relativeDifference(there, output)).toBeLessThanOrEqual(1e-5);
          tf.dispose([there, output, ...expected.values()]);
        }
        const values = await Promise.all(parameters.map((parameter) => parameter.toHere()));
        for (const [index, parameter] of here.parameters().entries()) {
          const value = values[index] as tf.Tensor;
          expect(relativeDifference(value, parameter)).toBeLessThanOrEqual(1e-5);
        }
        tf.dispose([x, ...values]);
        sgd.dispose();
        optimizer.dispose();
        for (const parameter of parameters) parameter.dispose();
        module.dispose();
        here[Symbol.dispose]();
        await gone(team);
      }),
    ),
  );

  test('the training flag, and several inputs', () =>
    clean(team, () =>
      team.as(0, async () => {
        const module = new autograd.RemoteModule('w1', Mixed);
        const [a, b] = [randomTensor([2, 3], 1), randomTensor([2, 3], 2)];
        await module.eval();
        const [one, two] = [await module.forward(a, b), await module.forward(a, b)];
        expect(relativeDifference(one, two)).toBe(0);
        await module.train();
        const dropped = await module.forward(a, b);
        expect(relativeDifference(dropped, one)).toBeGreaterThan(0.1);
        tf.dispose([a, b, one, two, dropped]);
        module.dispose();
        await gone(team);
      }),
    ));

  test('batch norm in use has the statistics of its training', () =>
    clean(team, () =>
      team.as(0, async () => {
        const module = new autograd.RemoteModule('w1', LayerOf, ['batch norm']);
        const x = tf.tidy(() => tf.add(randomTensor([4, 4], 1), 3));
        for (let step = 0; step < 20; step++) (await module.forward(x)).dispose();
        await module.eval();
        const y = await module.forward(x);
        const mean = tf.tidy(() => tf.mean(y).dataSync()[0] as number);
        expect(Math.abs(mean)).toBeLessThan(1e-3);
        tf.dispose([x, y]);
        module.dispose();
        await gone(team);
      }),
    ));
});

test('a model that is not built is refused, and a module frees its weights', () =>
  expectNoLeak(async () => {
    expect(() => new autograd.LayersModule(tf.sequential())).toThrow('inputShape');
    expect(() => new autograd.LayersModule({} as tf.LayersModel)).toThrow('invalid_argument');
    const module = new LayerOf('dense');
    expect(module.parameters()).toHaveLength(2);
    module[Symbol.dispose]();
    module[Symbol.dispose]();
  }));

/** Waits until what was let go of is freed. */
async function gone(team: Team): Promise<void> {
  await until(() =>
    team.workers.every(({ references: { ownedCount, copyCount } }) => ownedCount + copyCount === 0),
  );
}
