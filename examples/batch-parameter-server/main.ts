/**
 * PyTorch's tutorial "Implementing Batch RPC Processing Using Asynchronous Executions", its parameter server: rank 0 is the
 * server and starts the trainers, all others train.
 */
import { optim, rpc } from 'gradwire';
import { endWith } from '../support/end-with.ts';
import { mean } from '../support/losses.ts';
import { type Place, runExample } from '../support/run-example.ts';
import { BatchUpdateParameterServer } from './parameter-server.ts';
import { runTrainer } from './trainer.ts';

const FLAGS = {
  iterations: { type: 'int', default: 100, min: 2, help: 'updates of the model' },
  batchSize: { type: 'int', default: 32, min: 1, help: 'images per trainer and update' },
  lr: { type: 'number', default: 0.05, min: 0, help: 'learning rate' },
} as const;

/** Training takes as long as it takes; a trainer that dies ends the wait. */
const PATIENT = { timeoutMs: Number.POSITIVE_INFINITY };

async function runPs(trainers: readonly string[], place: Place<typeof FLAGS>): Promise<void> {
  const { flags, settings, write } = place;
  const { iterations, batchSize, lr, seed } = flags;
  write({ event: 'start', trainers: trainers.length, ...settings });
  const server = new BatchUpdateParameterServer(trainers.length, seed, (parameters) => {
    return new optim.SGD(parameters, { lr, momentum: 0.9 });
  });
  const psRRef = new rpc.RRef(server);
  const futures = trainers.map((trainer, shard) => {
    const options = { shard, shards: trainers.length, iterations, batchSize, images: 2000, seed };
    return rpc.rpcAsync(trainer, runTrainer, [psRRef, options], PATIENT);
  });
  const losses = await rpc.collectAll(futures);
  const means = Array.from({ length: iterations }, (_, i) => {
    return losses.reduce((sum, own) => sum + (own[i] as number), 0) / losses.length;
  });
  means.forEach((loss, iteration) => {
    write({ event: 'step', iteration, loss });
  });
  const few = Math.min(5, Math.floor(iterations / 2));
  const [first, last] = [mean(means.slice(0, few)), mean(means.slice(-few))];
  write({ event: 'end', ...settings, updates: server.updates, first, last });
  console.log(
    `Loss ${last.toFixed(4)} after ${server.updates} updates by ${trainers.length} trainers, ${first.toFixed(4)} at first`,
  );
  psRRef.dispose();
}

runExample(
  {
    name: 'batch-parameter-server',
    text: 'Trains a classifier whose server updates it once for all trainers.',
    processes: 3,
    takes: [2, 9],
    reporter: 0,
    flags: FLAGS,
  },
  async (place) => {
    const { rank, worldSize } = place;
    if (rank === 0) {
      endWith(await rpc.init({ name: 'ps' }));
      const trainers = Array.from({ length: worldSize - 1 }, (_, i) => `trainer${i + 1}`);
      await runPs(trainers, place);
    } else {
      endWith(await rpc.init({ name: `trainer${rank}` }));
      // Trainers wait for the server to call them.
    }
    await rpc.shutdown();
  },
);
