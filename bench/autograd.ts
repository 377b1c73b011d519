/**
 * Suite `autograd`: what recording costs where nothing is remote, what the smallest distributed pass costs where hardly
 * anything is computed, and what contexts leave behind.
 */
import { autograd as dist, getNumThreads, rpc, tf } from 'gradwire';
import { leakedTensors } from './contexts.ts';
import { type Figure, figure, inRounds, median, type SuiteOptions, timeMs } from './harness.ts';
import { BATCH_SIZE, endlessBatches, LocalTrainer, nextBatch, nllLoss } from './local-trainer.ts';
import { SERVER, withPair } from './pair.ts';
import { add } from './remote.ts';

/** Samples of training steps per round, two steps of each kind in a sample. */
const STEPS = 4;
const STEP_WARM_UP = 3;

/** Blocks of the smallest pass per round and side, and passes of a block. */
const BLOCKS = 4;
const PASSES = 50;
const BLOCK_WARM_UP = 4;

export async function autograd(options: SuiteOptions): Promise<readonly Figure[]> {
  return withPair(async () => [
    await roundtrip(options),
    await trainingStep(options),
    await leakedTensors(),
  ]);
}

/** A context with an addition on the other worker, the backward pass and a look at the gradients. */
async function roundtrip({ rounds, peer }: SuiteOptions): Promise<Figure> {
  await using theirGroup = await peer?.start({ script: 'autograd_roundtrip.py' });
  const a = tf.variable(tf.ones([3, 3]));
  const b = tf.variable(tf.ones([3, 3]));
  const pass = (): Promise<void> =>
    dist.context(async (contextId) => {
      const sum = tf.sum(await rpc.rpcSync(SERVER, add, [a, b]));
      await dist.backward(contextId, [sum]);
      const found = dist.getGradients(contextId).size;
      if (found !== 2) throw new Error(`${found} of 2 gradients`);
    });
  const samples = await inRounds({ warmUp: BLOCK_WARM_UP, rounds: rounds * BLOCKS }, async () => {
    const ours: number[] = [];
    while (ours.length < PASSES) ours.push(await timeMs(pass));
    const answer = await theirGroup?.ask<{ ms: number[] }>({ do: 'passes', count: PASSES });
    return { ours: median(ours), theirs: answer?.[0] && median(answer[0].ms) };
  });
  a.dispose();
  b.dispose();
  return figure('autograd.roundtrip', {
    unit: 'ms',
    better: 'less',
    ...samples,
    target: { of: 'ratio', least: 1 },
    conditions: {
      engine: tf.getBackend(),
      threads: getNumThreads(),
      blockPasses: PASSES,
      ...(peer && { peer: peer.about, peerThreads: 1 }),
    },
  });
}

/** Whole training steps of the tutorial's model in this process, by a context and by `tf.variableGrads`. */
async function trainingStep({ rounds }: SuiteOptions): Promise<Figure> {
  const trainer = new LocalTrainer();
  const batches = endlessBatches();
  const samples = await inRounds({ warmUp: STEP_WARM_UP, rounds: rounds * STEPS }, async () => {
    const batch = await nextBatch(batches);
    const byContext = (): Promise<number> =>
      timeMs(() =>
        dist.context(async (contextId) => {
          const loss = nllLoss(trainer.net.forward(batch.x), batch.y);
          await dist.backward(contextId, [loss]);
          trainer.optimizer.step(dist.getGradients(contextId));
          await loss.data();
        }),
      );
    const byTfjs = (): Promise<number> => timeMs(() => trainer.stepOn(batch));
    // Whoever comes second pays for the garbage of the first, so they change places within a sample.
    const [first, second] = [await byContext(), await byTfjs()];
    const [third, fourth] = [await byTfjs(), await byContext()];
    return { ours: (first + fourth) / 2, theirs: (second + third) / 2 };
  });
  await batches.return();
  await trainer.dispose();
  return figure('autograd.tape.step', {
    unit: 'ms',
    better: 'less',
    ...samples,
    target: { of: 'ratio', least: 0.95 },
    conditions: {
      engine: tf.getBackend(),
      threads: getNumThreads(),
      batch: BATCH_SIZE,
      data: 'generated digits',
      peer: 'the same step by tf.variableGrads',
    },
  });
}
