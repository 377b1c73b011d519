/**
 * PyTorch's tutorial "Implementing a Parameter Server Using Distributed RPC Framework": one script, started once per rank.
 * Rank 0 is the parameter server, all others train; rank 1 prints the accuracy.
 */
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { isGradwireError } from 'gradwire';
import { parseFlags, UsageError, usage } from '../support/args.ts';
import { Batches } from '../support/batches.ts';
import type { Dataset } from '../support/dataset.ts';
import { generateDigits } from '../support/digits.ts';
import { DataError, loadMnist } from '../support/idx.ts';
import { runParameterServer } from './parameter-server.ts';
import { runWorker } from './train.ts';

const { env } = process;

/** A variable of the launcher as the default of a flag. @throws UsageError if it is no whole number */
function fromEnv(name: string): { default?: number } {
  const value = env[name] ?? '';
  if (value === '') return {};
  if (/^\d+$/.test(value)) return { default: Number(value) };
  throw new UsageError(`${name} is '${value}', expected a whole number`);
}

const flagSpec = () =>
  ({
    worldSize: {
      type: 'int',
      default: 4,
      min: 2,
      ...fromEnv('WORLD_SIZE'),
      help: 'processes in all: one server and the trainers',
    },
    rank: {
      type: 'int',
      min: 0,
      ...fromEnv('RANK'),
      help: 'rank of this process: 0 is the server',
    },
    numGpus: { type: 'int', default: 0, min: 0, max: 2, help: 'GPUs of each process' },
    masterAddr: {
      type: 'string',
      default: env['MASTER_ADDR'] ?? 'localhost',
      help: 'host of rank 0',
    },
    masterPort: {
      type: 'int',
      default: 29500,
      ...fromEnv('MASTER_PORT'),
      min: 1,
      max: 65535,
      help: 'port of rank 0',
    },
    data: {
      type: 'string',
      help: "folder with MNIST's four files, .gz or not; without it digits are generated",
    },
    epochs: { type: 'int', default: 1, min: 1, help: 'passes over the training images' },
    iterations: { type: 'int', min: 1, help: 'steps of each trainer, instead of epochs' },
    batchSize: { type: 'int', default: 32, min: 1, help: 'images per step' },
    lr: { type: 'number', default: 0.03, min: 0, help: 'learning rate' },
    seed: { type: 'int', default: 1, min: 0, help: 'seed of data, initial values and dropout' },
    json: { type: 'string', help: 'file for the figures of the run' },
  }) as const;

/** Generated images for one epoch, and for the test. */
const TRAIN_COUNT = 11_200;
const TEST_COUNT = 2_000;

async function main(): Promise<void> {
  const spec = flagSpec();
  const flags = parseFlags(spec);
  if (flags.help) {
    const about =
      'Trains a digit classifier through a parameter server. Start it once per rank, or by gradwire run.';
    process.stdout.write(
      usage(spec, { command: 'node dist/examples/parameter-server/main.js', about }),
    );
    return;
  }
  const { rank, worldSize, masterAddr, masterPort, seed, lr } = flags;
  if (rank === undefined)
    throw new UsageError('must provide the rank of this process: --rank, or RANK');
  if (rank >= worldSize)
    throw new UsageError(`--rank is ${rank}, expected less than --world-size, ${worldSize}`);
  const init = { name: 'parameter_server', worldSize, masterAddr, masterPort };
  if (rank === 0) {
    // The model lives here, so this is the rank that would use them.
    if (flags.numGpus > 0) console.error('no GPU engine is installed: training on the CPU engine');
    return runParameterServer(init);
  }

  if (rank === 1 && flags.json !== undefined) checkWritable(flags.json);
  const { train, test } = await load(flags.data, seed);
  if (rank === 1)
    console.log(`Data: ${train.source}, ${train.count} to train, ${test.count} to test`);
  const { batchSize, epochs, iterations } = flags;
  const length = iterations === undefined ? { epochs } : { iterations };
  const shard = { rank: rank - 1, of: worldSize - 1 };
  const result = await runWorker(
    init,
    {
      trainLoader: new Batches(train, { batchSize, seed, ...shard, ...length }),
      testLoader: new Batches(test, { batchSize: 100, shuffle: false }),
    },
    {
      rank,
      trainers: Array.from({ length: worldSize - 1 }, (_, i) => `trainer${i + 1}`),
      lr,
      seed,
    },
  );
  if (result === undefined) return;
  const { accuracy, reports } = result;
  if (flags.json !== undefined) {
    const report = {
      data: train.source,
      worldSize,
      batchSize,
      lr,
      seed,
      accuracy,
      trainers: reports,
    };
    writeFileSync(flags.json, `${JSON.stringify(report, null, 2)}\n`);
  }
  console.log(`Accuracy ${accuracy.toFixed(4)}`);
}

/** Better now than after the training. @throws UsageError */
function checkWritable(file: string): void {
  try {
    closeSync(openSync(file, 'a'));
  } catch (error) {
    throw new UsageError(`--json ${file} cannot be written: ${(error as Error).message}`);
  }
}

async function load(
  folder: string | undefined,
  seed: number,
): Promise<{ train: Dataset; test: Dataset }> {
  if (folder !== undefined) return loadMnist(folder);
  return {
    train: generateDigits({ count: TRAIN_COUNT, seed, split: 'train' }),
    test: generateDigits({ count: TEST_COUNT, seed, split: 'test' }),
  };
}

main().catch((error: Error) => {
  // What the user can mend is one line; anything else is a bug and shows where.
  const isUsage = error instanceof UsageError || error instanceof DataError;
  console.error(isUsage || isGradwireError(error) ? error.message : error.stack);
  process.exit(isUsage ? 2 : 1);
});
