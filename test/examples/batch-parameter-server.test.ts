/** Trainers in lock step through the batch-updating server end where one process with all their gradients ends. */
import { expect, test } from '@jest/globals';
import { Net } from '../../examples/batch-parameter-server/net.ts';
import { BatchUpdateParameterServer } from '../../examples/batch-parameter-server/parameter-server.ts';
import { Trainer, type TrainerOptions } from '../../examples/batch-parameter-server/trainer.ts';
import { Batches } from '../../examples/support/batches.ts';
import { generateDigits } from '../../examples/support/digits.ts';
import { nllLoss } from '../../examples/support/losses.ts';
import { optim, rpc, tf } from '../../index.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import { relativeDifference } from '../support/numbers.ts';

const STEPS = 50;
const SHARDS = 2;
const SEED = 3;
const IMAGES = 200;

type MakeOptimizer = (parameters: readonly tf.Variable[]) => optim.Optimizer;

function optionsOf(shard: number): TrainerOptions {
  return { shard, shards: SHARDS, iterations: STEPS, batchSize: 4, images: IMAGES, seed: SEED };
}

async function train(
  psRRef: rpc.RRef<BatchUpdateParameterServer>,
  options: TrainerOptions,
): Promise<number[]> {
  const trainer = new Trainer(psRRef, options);
  try {
    return await trainer.train();
  } finally {
    trainer.dispose();
  }
}

rpc.register({ 'test.trainLockStep': train });

/** The same maths in one place: the gradients of all shards, summed in order, and one step. */
async function trainHere(makeOptimizer: MakeOptimizer): Promise<tf.Tensor[]> {
  const net = new Net(SEED);
  const parameters = net.parameters();
  const optimizer = makeOptimizer(parameters);
  const digits = generateDigits({ count: IMAGES, seed: SEED });
  const loaders = Array.from({ length: SHARDS }, (_, rank) => {
    const { batchSize, iterations, seed } = optionsOf(rank);
    const batches = new Batches(digits, { batchSize, iterations, seed, rank, of: SHARDS });
    return batches[Symbol.asyncIterator]();
  });
  for (let step = 0; step < STEPS; step++) {
    const sums = new Map<tf.Tensor, tf.Tensor>();
    for (const loader of loaders) {
      const { x, y } = (await loader.next()).value ?? {};
      if (x === undefined || y === undefined) throw new Error('too few batches');
      const { value, grads } = tf.variableGrads(() => nllLoss(net.forward(x), y), parameters);
      for (const parameter of parameters) {
        const grad = grads[parameter.name] as tf.Tensor;
        const sum = sums.get(parameter);
        sums.set(parameter, sum === undefined ? grad : tf.add(sum, grad));
        if (sum !== undefined) tf.dispose([sum, grad]);
      }
      value.dispose();
    }
    const means = [...sums].map(([of, sum]) => [of, tf.div(sum, SHARDS)] as const);
    optimizer.step(new Map(means));
    tf.dispose([...sums.values(), ...means.map(([, mean]) => mean)]);
  }
  for (const loader of loaders) await loader.return();
  optimizer.dispose();
  return parameters;
}

const RULES: Readonly<Record<string, MakeOptimizer>> = {
  'SGD with momentum': (parameters) => new optim.SGD(parameters, { lr: 0.05, momentum: 0.9 }),
  Adam: (parameters) => new optim.Adam(parameters, { lr: 0.003 }),
};

const CASES = TRANSPORTS.flatMap((transport) => {
  return Object.keys(RULES).map((rule) => [transport, rule] as const);
});

test.each(CASES)(
  'test_batch_updating_parameter_server: two trainers over %s, %s, are one process',
  async (transport, rule) => {
    await using cluster = await startCluster({ workers: 1 + SHARDS, transport, engine: 'wasm' });
    const makeOptimizer = RULES[rule] as MakeOptimizer;
    await cluster.at(0).run(async () => {
      const server = new BatchUpdateParameterServer(SHARDS, SEED, makeOptimizer);
      using psRRef = new rpc.RRef(server);
      const losses = await rpc.collectAll(
        [1, 2].map((rank) => rpc.rpcAsync(rank, train, [psRRef, optionsOf(rank - 1)])),
      );
      expect(server.updates).toBe(STEPS);
      for (const own of losses) expect(own).toHaveLength(STEPS);
      const expected = await trainHere(makeOptimizer);
      const differences = server.getModel().map((parameter, i) => {
        return relativeDifference(parameter, expected[i] as tf.Tensor);
      });
      expect(differences).toHaveLength(4);
      expect(Math.max(...differences)).toBeLessThanOrEqual(1e-6);
      tf.dispose(expected);
      server.dispose();
    });
  },
  60_000,
);
