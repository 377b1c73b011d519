/**
 * Suite `autograd`: what recording costs where nothing is remote, and what the smallest distributed pass costs where
 * hardly anything is computed.
 */
import { autograd as dist, rpc, tf } from 'gradwire';
import { type Figure, inRounds, ratios, type SuiteOptions, summarize, timeMs } from './harness.ts';
import { endlessBatches, LocalTrainer, nextBatch, nllLoss } from './local-trainer.ts';
import { PEER, withPeer } from './pair.ts';
import { add } from './remote.ts';

/** Pairs of training steps per round. */
const STEPS = 4;
const STEP_WARM_UP = 6;

/** Smallest passes per round. */
const PASSES = 100;
const PASS_WARM_UP = 200;

export async function autograd({ rounds }: SuiteOptions): Promise<readonly Figure[]> {
  return withPeer(async () => {
    const steps = await trainingSteps(rounds);
    const passes = await remoteAdds(rounds);
    return [
      summarize('autograd.tapeStep', 'ms', steps.tape),
      summarize('autograd.variableGradsStep', 'ms', steps.variableGrads),
      summarize('autograd.tapeCost', 'x', ratios(steps.tape, steps.variableGrads), { most: 1.05 }),
      summarize('autograd.remoteAdd', 'ms', passes, { most: 1.2 }),
    ];
  });
}

/** Whole training steps of the tutorial's model in this process, by a context and by `tf.variableGrads`. */
async function trainingSteps(
  rounds: number,
): Promise<Readonly<Record<'tape' | 'variableGrads', readonly number[]>>> {
  const trainer = new LocalTrainer();
  const batches = endlessBatches();
  const samples = await inRounds(
    { warmUp: STEP_WARM_UP, rounds: rounds * STEPS },
    async (index: number) => {
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
      // Whoever comes second pays for the garbage of the first, so they change places.
      if (index % 2 === 0) {
        const tape = await byContext();
        return { tape, variableGrads: await byTfjs() };
      }
      const variableGrads = await byTfjs();
      return { tape: await byContext(), variableGrads };
    },
  );
  await batches.return();
  await trainer.dispose();
  return samples;
}

/** Milliseconds of a context with an addition on the peer, a backward pass and a look at the gradients. */
async function remoteAdds(rounds: number): Promise<readonly number[]> {
  const a = tf.variable(tf.ones([3, 3]));
  const b = tf.variable(tf.ones([3, 3]));
  const { pass } = await inRounds({ warmUp: PASS_WARM_UP, rounds: rounds * PASSES }, async () => ({
    pass: await timeMs(() =>
      dist.context(async (contextId) => {
        const sum = tf.sum(await rpc.rpcSync(PEER, add, [a, b]));
        await dist.backward(contextId, [sum]);
        const found = dist.getGradients(contextId).size;
        if (found !== 2) throw new Error(`${found} of 2 gradients`);
      }),
    ),
  }));
  a.dispose();
  b.dispose();
  return pass;
}
