/**
 * PyTorch's tutorial "Distributed Pipeline Parallelism Using RPC": rank 0 trains a model whose halves live on ranks 1 and 2,
 * with batches split into 1, 2, 4 and 8 micro-batches. While one half computes a micro-batch, the other has the next.
 */
import { autograd, optim, rpc } from 'gradwire';
import { UsageError } from '../support/args.ts';
import { Batches } from '../support/batches.ts';
import { generateDigits } from '../support/digits.ts';
import { endWith } from '../support/end-with.ts';
import { nllLoss } from '../support/losses.ts';
import { Progress } from '../support/progress.ts';
import { type Place, runExample } from '../support/run-example.ts';
import { DistConvNet } from './shards.ts';

const FLAGS = {
  batches: { type: 'int', default: 4, min: 1, help: 'batches for each number of splits' },
  batchSize: { type: 'int', default: 64, min: 8, help: 'images per batch, a multiple of 8' },
  lr: { type: 'number', default: 0.05, min: 0, help: 'learning rate' },
} as const;

const SPLITS = [1, 2, 4, 8] as const;

interface Result {
  readonly numSplits: number;
  readonly imagesPerSecond: number;
  /** Of the last batch: the same for any number of splits, but for rounding. */
  readonly loss: number;
}

/** Trains a new model on the same batches; the first is to warm up and is not timed. */
async function runMaster(numSplits: number, { flags }: Place<typeof FLAGS>): Promise<Result> {
  const { batches, batchSize, lr, seed } = flags;
  const model = new DistConvNet(numSplits, ['worker1', 'worker2'], seed);
  const parameters = await model.parameterRRefs();
  const opt = new optim.DistributedOptimizer(optim.SGD, parameters, { lr });
  const digits = generateDigits({ count: batchSize * (batches + 1), seed });
  const progress = new Progress({ label: `splits ${numSplits}`, total: batches, lines: 1 });
  let [loss, done, startMs] = [Number.NaN, 0, 0];
  for await (const { x: inputs, y: labels } of new Batches(digits, { batchSize, seed })) {
    if (done === 1) startMs = performance.now();
    await autograd.context(async (contextId) => {
      const outputs = await model.forward(inputs);
      const batchLoss = nllLoss(outputs, labels);
      await autograd.backward(contextId, [batchLoss]);
      await opt.step(contextId);
      loss = (await batchLoss.data())[0] as number;
    });
    progress.update(done++, { loss });
  }
  const imagesPerSecond = (1000 * batches * batchSize) / (performance.now() - startMs);
  progress.end();
  opt.dispose();
  for (const parameter of parameters) parameter.dispose();
  model.dispose();
  return { numSplits, imagesPerSecond, loss };
}

async function compare(place: Place<typeof FLAGS>): Promise<void> {
  const { settings, write } = place;
  write({ event: 'start', ...settings });
  const results: Result[] = [];
  for (const numSplits of SPLITS) {
    const result = await runMaster(numSplits, place);
    results.push(result);
    write({ event: 'split', ...result });
    console.log(`number of splits = ${numSplits}: ${result.imagesPerSecond.toFixed(1)} images/s`);
  }
  const best = results.reduce((a, b) => (b.imagesPerSecond > a.imagesPerSecond ? b : a));
  const gain = best.imagesPerSecond / (results[0] as Result).imagesPerSecond;
  write({ event: 'end', ...settings, best: best.numSplits, gain });
  console.log(
    `Best with ${best.numSplits} splits: ${best.imagesPerSecond.toFixed(1)} images/s, ${gain.toFixed(2)} times those of 1`,
  );
}

runExample(
  {
    name: 'pipeline',
    text: 'Trains a model whose halves live on two workers, with micro-batches in a pipeline.',
    processes: 3,
    reporter: 0,
    flags: FLAGS,
  },
  async (place) => {
    const { batchSize } = place.flags;
    if (batchSize % 8 !== 0) {
      throw new UsageError(`--batch-size is ${batchSize}, expected a multiple of 8`);
    }
    endWith(await rpc.init({ name: place.rank === 0 ? 'master' : `worker${place.rank}` }));
    // The workers do nothing by themselves.
    if (place.rank === 0) await compare(place);
    await rpc.shutdown();
  },
);
