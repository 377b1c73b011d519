/** O1: the distributed optimizer does what a local one does. By the names of PyTorch's tests. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { autograd, optim, rpc, tf } from '../../index.ts';
import { CARRIERS, clean, startTeam, type Team } from '../autograd/support.ts';
import { referenceGradients } from '../support/gradients.ts';
import { randomTensor, randomVariable } from '../support/numbers.ts';

/** A weight of 3 × 3, the same in every instance. */
class MyModule {
  readonly #w: tf.Variable;

  constructor(requiresGrad = true) {
    this.#w = randomVariable([3, 3], 7);
    this.#w.trainable = requiresGrad;
  }

  forward(x: tf.Tensor): tf.Tensor {
    return tf.matMul(this.#w as unknown as tf.Tensor2D, x as tf.Tensor2D);
  }

  getW(): tf.Variable {
    return this.#w;
  }
}

class FailingOptimizer implements optim.Optimizer {
  step(): void {
    throw new RangeError('Error running optimizer.');
  }
  async stateDict(): Promise<optim.StateDict> {
    return { state: [], paramGroups: [] };
  }
  loadStateDict(): void {}
  dispose(): void {}
}

class OptimizerFailingOnConstructor extends FailingOptimizer {
  constructor() {
    super();
    throw new RangeError('Error creating optimizer.');
  }
}

rpc.register({ 'o1.MyModule': MyModule });
optim.registerOptimizer('o1.FailingOptimizer', FailingOptimizer);
optim.registerOptimizer('o1.OptimizerFailingOnConstructor', OptimizerFailingOnConstructor);

type Setting = readonly [name: string, options: object];

const SETTINGS: readonly Setting[] = [
  ['Adagrad', { lr: 0.05 }],
  ['Adam', { lr: 1e-2, amsgrad: true }],
  ['AdamW', { lr: 0.05, amsgrad: true }],
  ['SGD', { lr: 0.05 }],
  ['SGD', { lr: 1e-3, momentum: 1, weightDecay: 1, nesterov: true }],
  ['Adadelta', { rho: 0.95 }],
  ['RMSprop', { lr: 0.05 }],
  ['Adamax', { lr: 0.05 }],
  ['Rprop', { lr: 0.05 }],
];

const WITHOUT_GRADIENT: readonly Setting[] = [
  ['SGD', { lr: 0.05 }],
  ['RMSprop', { lr: 0.05 }],
  ['Rprop', { lr: 0.05 }],
  ['Adadelta', { rho: 0.95 }],
];

/** Weights before and after one step of a local optimizer on two modules. */
function stepLocally([name, options]: Setting, secondRequiresGrad: boolean): Float32Array[] {
  const [first, second] = [new MyModule(), new MyModule(secondRequiresGrad)];
  const parameters = [first.getW(), second.getW()];
  const [t1, t2] = inputs();
  const loss = (): tf.Tensor => tf.sum(tf.add(second.forward(first.forward(t2)), t1));
  const trained = secondRequiresGrad ? parameters : parameters.slice(0, 1);
  const gradients = referenceGradients(loss, trained);
  const optimizer = new (optim.optimizerNamed(name))(parameters, options);
  optimizer.step(gradients);
  const after = parameters.map((p) => p.dataSync<'float32'>().slice());
  optimizer.dispose();
  tf.dispose([...parameters, ...gradients.values(), t1, t2]);
  return after;
}

function inputs(): [tf.Tensor, tf.Tensor] {
  return [randomTensor([3, 3], 1), randomTensor([3, 3], 2)];
}

describe.each(CARRIERS)('over %s', (carrier) => {
  let team: Team;
  beforeAll(async () => {
    team = await startTeam(3, carrier);
  });
  afterAll(() => team.stop());

  /** The model split over w1 and w2, an optimizer of its weights, and one backward pass; `fn` makes the step. */
  async function withModel(
    [name, options]: Setting,
    secondRequiresGrad: boolean,
    fn: (step: () => Promise<void>, weights: () => Promise<Float32Array[]>) => Promise<void>,
  ): Promise<void> {
    await clean(team, () =>
      team.as(0, async () => {
        using first = rpc.remote('w1', MyModule);
        using second = rpc.remote('w2', MyModule, [secondRequiresGrad]);
        using w1 = first.remote().getW();
        using w2 = second.remote().getW();
        const weights = async (): Promise<Float32Array[]> => {
          const copies = [await w1.toHere(), await w2.toHere()];
          const values = copies.map((copy) => copy.dataSync<'float32'>().slice());
          tf.dispose(copies);
          return values;
        };
        const parameters = [w1, w2] as unknown as rpc.RRef<tf.Variable>[];
        const Class = optim.optimizerNamed(name) as optim.OptimizerClass<object>;
        using optimizer = new optim.DistributedOptimizer(Class, parameters, options);
        const [t1, t2] = inputs();
        await autograd.context(async (id) => {
          const output1 = await first.rpcAsync().forward(t2);
          const output2 = await second.rpcAsync().forward(output1);
          await autograd.backward(id, [tf.sum(tf.add(output2, t1))]);
          await fn(() => optimizer.step(id), weights);
        });
        tf.dispose([t1, t2]);
      }),
    );
  }

  test.each(SETTINGS)('test_dist_optim: %s %j', async (...setting) => {
    const expected = stepLocally(setting, true);
    await withModel(setting, true, async (step, weights) => {
      const before = await weights();
      await step();
      const after = await weights();
      for (const i of [0, 1]) expect(after[i]).not.toEqual(before[i]);
      expect(after).toEqual(expected);
    });
  });

  test.each(WITHOUT_GRADIENT)('test_dist_optim_none_grads: %s %j', async (...setting) => {
    const expected = stepLocally(setting, false);
    await withModel(setting, false, async (step, weights) => {
      const before = await weights();
      await step();
      const after = await weights();
      expect(after[0]).not.toEqual(before[0]);
      expect(after[1]).toEqual(before[1]);
      expect(after).toEqual(expected);
    });
  });

  test('test_dist_optim_exception: a step that throws on the owners', () =>
    withModel(['o1.FailingOptimizer', {}], true, async (step, weights) => {
      const before = await weights();
      await expect(step()).rejects.toMatchObject({
        code: 'remote_error',
        message: expect.stringContaining('Error running optimizer.'),
      });
      expect(await weights()).toEqual(before);
    }));

  test('test_dist_optim_exception_on_constructor: the first to be awaited says so', () =>
    clean(team, () =>
      team.as(0, async () => {
        using first = rpc.remote('w1', MyModule);
        using w = first.remote().getW();
        const parameters = [w] as unknown as rpc.RRef<tf.Variable>[];
        using optimizer = new optim.DistributedOptimizer(
          OptimizerFailingOnConstructor,
          parameters,
          {},
        );
        const failure = { message: expect.stringContaining('Error creating optimizer.') };
        await expect(optimizer.ready()).rejects.toMatchObject(failure);
        await autograd.context(async (id) => {
          await expect(optimizer.step(id)).rejects.toMatchObject(failure);
        });
      }),
    ));
});
