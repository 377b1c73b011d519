/** The training loop, the test and the trainer process of the tutorial. */
import { autograd, optim, rpc, tf } from 'gradwire';
import type { Batches } from '../support/batches.ts';
import { endWith } from '../support/end-with.ts';
import { nllLoss } from '../support/losses.ts';
import { Progress } from '../support/progress.ts';
import { remoteMethod } from './parameter-server.ts';
import {
  lossFigures,
  type Memory,
  type Report,
  type RunRecord,
  StepRate,
  type Summary,
  sampleMemory,
  summarize,
} from './report.ts';
import { TrainerNet } from './trainer-net.ts';

export interface TrainingOptions {
  readonly rank: number;
  /** Names of all trainers. */
  readonly trainers: readonly string[];
  readonly lr: number;
  readonly seed: number;
  /** Called with the loss of every fifth batch and the memory, as they become known. */
  readonly onRecord?: (record: RunRecord) => void;
}

/** Steps before the rate counts, and after which the memory is looked at for the first time. */
const WARM_UP = 10;

export async function runTrainingLoop(
  net: TrainerNet,
  trainLoader: Batches,
  { rank, trainers, lr, onRecord }: TrainingOptions,
): Promise<Report> {
  // Build the DistributedOptimizer.
  const paramRRefs = await net.getGlobalParamRRefs();
  const optimizer = new optim.DistributedOptimizer(optim.SGD, paramRRefs, { lr });
  const progress = new Progress({ label: `trainer${rank}`, total: trainLoader.length });
  const memory: Memory[] = [];
  const losses: number[] = [];
  const lookAtMemory = async (iteration: number): Promise<void> => {
    const sample = await sampleMemory(iteration, trainers);
    memory.push(sample);
    onRecord?.({ event: 'memory', rank, ...sample });
  };
  const rate = new StepRate();
  let i = 0;
  for await (const { x: data, y: target } of trainLoader) {
    await autograd.context(async (contextId) => {
      const modelOutput = await net.forward(data);
      const loss = nllLoss(modelOutput, target);
      const value = (await loss.data())[0] as number;
      losses.push(value);
      if (i % 5 === 0) onRecord?.({ event: 'step', rank, iteration: i, loss: value });
      progress.update(i, { loss: value });
      await autograd.backward(contextId, [loss]);
      // Ensure that the backward pass reached the server: every parameter has a gradient there.
      const count = await remoteMethod('countDistGradients', net.paramServerRRef, contextId);
      if (count !== paramRRefs.length) throw new Error(`only ${count} parameters have a gradient`);
      await optimizer.step(contextId);
    });
    i++;
    rate.count();
    // Twice for every trainer, however long its shard: they meet to look.
    if (i === Math.min(WARM_UP, trainLoader.length)) await lookAtMemory(i);
    if (i === trainLoader.length) await lookAtMemory(i);
    else if (i === WARM_UP) rate.restart();
  }
  progress.update(i, { loss: losses.at(-1) ?? Number.NaN });
  progress.end();
  console.log('Training complete!');
  return {
    rank,
    iterations: i,
    iterationsPerSecond: rate.perSecond,
    ...lossFigures(losses),
    memory,
  };
}

/**
 * Part of the test images that the model classifies right. The tutorial leaves dropout on here and so measures less than the
 * model can; we turn it off on the server.
 */
export async function getAccuracy(testLoader: Batches, model: TrainerNet): Promise<number> {
  await remoteMethod('eval', model.paramServerRRef);
  let correct = 0;
  let total = 0;
  for await (const { x: data, y: target } of testLoader) {
    const out = await model.forward(data);
    const hits = tf.tidy(() => tf.sum(tf.equal(tf.argMax(out, 1), target)));
    correct += (await hits.data())[0] as number;
    total += target.size;
    tf.dispose([out, hits]);
  }
  await remoteMethod('train', model.paramServerRRef);
  return correct / total;
}

export interface Loaders {
  readonly trainLoader: Batches;
  readonly testLoader: Batches;
}

/** Ranks 1 and up: trains; rank 1 tests when all are done. @returns accuracy and figures, on rank 1 */
export async function runWorker(
  init: rpc.InitOptions,
  { trainLoader, testLoader }: Loaders,
  options: TrainingOptions,
): Promise<({ accuracy: number } & Summary) | undefined> {
  const { rank, trainers, seed } = options;
  console.log(`Worker rank ${rank} initializing RPC`);
  endWith(await rpc.init({ ...init, name: `trainer${rank}`, rank }));
  console.log(`Worker ${rank} done initializing RPC`);
  const net = new TrainerNet({ seed });
  const report = await runTrainingLoop(net, trainLoader, options);
  if (rank !== 1) await rpc.rpcSync('trainer1', collectReport, [report]);
  // Rank 1 tests the model when nobody changes it any more.
  await rpc.barrier(trainers, { timeoutMs: Number.POSITIVE_INFINITY });
  if (rank === 1) console.log('Testing...');
  const accuracy = rank === 1 ? await getAccuracy(testLoader, net) : undefined;
  await rpc.shutdown();
  return accuracy === undefined ? undefined : { accuracy, ...summarize([report, ...collected]) };
}

const collected: Report[] = [];

/** Takes the report of another trainer. */
function collectReport(report: Report): void {
  collected.push(report);
}

rpc.register({ collectReport });
