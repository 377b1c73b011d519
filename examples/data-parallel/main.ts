/**
 * PyTorch's tutorial "Combining Distributed DataParallel with Distributed RPC Framework": ranks 0 and 1 train replicas of a
 * dense layer, rank 2 is the master that starts them, rank 3 the parameter server with the embedding.
 */
import { autograd, rpc, tf } from 'gradwire';
import { endWith } from '../support/end-with.ts';
import { mean } from '../support/losses.ts';
import { type Place, runExample } from '../support/run-example.ts';
import { EMBEDDING, EmbeddingBag } from './hybrid-model.ts';
import { type Report, runTrainer } from './trainer.ts';

const FLAGS = {
  steps: { type: 'int', default: 100, min: 2, help: 'steps of each trainer' },
  batchSize: { type: 'int', default: 32, min: 1, help: 'bags per step' },
  lr: { type: 'number', default: 0.2, min: 0, help: 'learning rate' },
} as const;

const NAMES = ['trainer0', 'trainer1', 'master', 'ps'] as const;
const TRAINERS: readonly string[] = NAMES.slice(0, 2);

/** Training takes as long as it takes; a trainer that dies ends the wait. */
const PATIENT = { timeoutMs: Number.POSITIVE_INFINITY };

async function runMaster({ flags, settings, write }: Place<typeof FLAGS>): Promise<void> {
  const { seed, steps, batchSize, lr } = flags;
  write({ event: 'start', ...settings });
  // Build the embedding on the parameter server.
  const remoteEmbModule = new autograd.RemoteModule('ps', EmbeddingBag, [...EMBEDDING, seed]);
  // Run the training loop on trainers.
  const options = { trainers: TRAINERS, steps, batchSize, lr, seed };
  const futures = TRAINERS.map((trainer) => {
    return rpc.rpcAsync(trainer, runTrainer, [remoteEmbModule, options], PATIENT);
  });
  // Wait for all training to finish.
  const reports = await rpc.collectAll(futures);
  for (let step = 0; step < steps; step++) {
    write({ event: 'step', step, loss: mean(reports.map(({ losses }) => losses[step] as number)) });
  }
  const accuracy = mean(reports.map((report) => report.accuracy));
  const apart = difference(reports);
  write({ event: 'end', ...settings, accuracy, apart });
  const alike = apart === 0 ? 'replicas are equal' : `replicas differ by ${apart}`;
  console.log(`Accuracy ${accuracy.toFixed(4)} after ${steps} steps of 2 trainers, ${alike}`);
  tf.dispose(reports.flatMap(({ replica }) => [...replica]));
  remoteEmbModule.dispose();
}

/** Largest difference between two replicas. */
function difference([one, other]: readonly Report[]): number {
  const apart = (one?.replica ?? []).map((parameter, i) => {
    const there = other?.replica[i];
    if (there === undefined) return Number.NaN;
    return tf.tidy(() => tf.max(tf.abs(tf.sub(parameter, there))).dataSync()[0] as number);
  });
  return Math.max(...apart);
}

runExample(
  {
    name: 'data-parallel',
    text: 'Trains replicas of a dense layer on two trainers, with an embedding that they share.',
    processes: 4,
    reporter: 2,
    flags: FLAGS,
  },
  async (place) => {
    endWith(await rpc.init({ name: NAMES[place.rank] as string }));
    // Trainers wait for the master to call them; the parameter server does nothing by itself.
    if (place.rank === 2) await runMaster(place);
    await rpc.shutdown();
  },
);
