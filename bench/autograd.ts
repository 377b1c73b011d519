/**
 * Suite `autograd`: what recording costs where nothing is remote, what the smallest distributed pass costs where hardly
 * anything is computed, and what contexts leave behind.
 */
import { autograd as dist, getNumThreads, rpc, tf } from 'gradwire';
import { leakedTensors } from './contexts.ts';
import { type Figure, figure, inRounds, median, type SuiteOptions, timeMs } from './harness.ts';
import { BATCH_SIZE } from './local-trainer.ts';
import { SERVER, withPair } from './pair.ts';
import { add } from './remote.ts';
import { tapeSteps } from './tape-steps.ts';

/** Samples of training steps per round. */
const STEPS = 4;

/** Blocks of the smallest pass per round and side, and passes of a block. */
const BLOCKS = 4;
const PASSES = 50;
const BLOCK_WARM_UP = 4;

export async function autograd(options: SuiteOptions): Promise<readonly Figure[]> {
  const step = await trainingStep(options);
  return withPair(async () => [await roundtrip(options), step, await leakedTensors()]);
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

/** Each round starts the processes anew: in some of them one of the two kinds is slow from beginning to end. */
async function trainingStep({ rounds }: SuiteOptions): Promise<Figure> {
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const samples = await withPair(() => rpc.rpcSync(SERVER, tapeSteps, [STEPS]));
    ours.push(...samples.ours);
    theirs.push(...samples.theirs);
  }
  return figure('autograd.tape.step', {
    unit: 'ms',
    better: 'less',
    ours,
    theirs,
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
