/**
 * PyTorch's tutorial "Implementing a Parameter Server Using Distributed RPC Framework": one script, started once per rank.
 * Rank 0 is the parameter server, all others train; rank 1 prints the accuracy.
 */
import { parseFlags, UsageError, usage } from '../support/args.ts';
import { Batches } from '../support/batches.ts';
import { JsonLines } from '../support/json-lines.ts';
import { loadData } from '../support/load-data.ts';
import { MNIST_PATIENCE_MS } from '../support/mnist-cache.ts';
import { exitWith } from '../support/run-example.ts';
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
      default: 'digits',
      help: "digits (generated), mnist (downloaded on first use), or a folder with MNIST's four files; ./mnist is a folder of that name",
    },
    noVerify: {
      type: 'boolean',
      help: "takes files with MNIST's sizes but another content, such as Fashion-MNIST",
    },
    epochs: { type: 'int', default: 1, min: 1, help: 'passes over the training images' },
    iterations: { type: 'int', min: 1, help: 'steps of each trainer, instead of epochs' },
    batchSize: { type: 'int', default: 32, min: 1, help: 'images per step' },
    lr: { type: 'number', default: 0.03, min: 0, help: 'learning rate' },
    seed: { type: 'int', default: 1, min: 0, help: 'seed of data, initial values and dropout' },
    json: {
      type: 'string',
      help: 'file for the run as JSON Lines: losses as it goes, figures at the end',
    },
  }) as const;

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
  const init = {
    name: 'parameter_server',
    worldSize,
    masterAddr,
    masterPort,
    // The group is complete when the last trainer has its data.
    ...(flags.data === 'mnist' ? { initTimeoutMs: MNIST_PATIENCE_MS } : {}),
  };
  if (rank === 0) {
    // The model lives here, so this is the rank that would use them.
    if (flags.numGpus > 0) console.error('no GPU engine is installed: training on the CPU engine');
    return runParameterServer(init);
  }

  const { train, test } = await loadData(flags.data, { seed, verify: !flags.noVerify });
  // Opened now: better to fail before the training than after it.
  const json = rank === 1 && flags.json !== undefined ? new JsonLines(flags.json) : undefined;
  if (rank === 1) {
    const hint = flags.data === 'digits' ? ' (--data mnist for MNIST)' : '';
    console.log(`Data: ${train.source}, ${train.count} to train, ${test.count} to test${hint}`);
  }
  const { batchSize, epochs, iterations } = flags;
  const length = iterations === undefined ? { epochs } : { iterations };
  const shard = { rank: rank - 1, of: worldSize - 1 };
  const trainLoader = new Batches(train, { batchSize, seed, ...shard, ...length });
  const run = {
    data: train.source,
    worldSize,
    batchSize,
    lr,
    seed,
    iterations: trainLoader.length,
  };
  json?.write({ event: 'start', ...run });
  const result = await runWorker(
    init,
    { trainLoader, testLoader: new Batches(test, { batchSize: 100, shuffle: false }) },
    {
      rank,
      trainers: Array.from({ length: worldSize - 1 }, (_, i) => `trainer${i + 1}`),
      lr,
      seed,
      onRecord: (record) => json?.write(record),
    },
  );
  if (result === undefined) return;
  json?.write({ event: 'end', ...run, ...result });
  console.log(`Accuracy ${result.accuracy.toFixed(4)}`);
}

main().catch(exitWith);
