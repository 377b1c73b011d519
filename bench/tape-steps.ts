/** Training steps of the tutorial's model in one process, in a context and by `tf.variableGrads`, in turns. */
import { autograd as dist } from 'gradwire';
import { inRounds, timeMs } from './harness.ts';
import { endlessBatches, LocalTrainer, nextBatch, nllLoss } from './local-trainer.ts';

/** Samples before anything counts: the first steps compile. */
const WARM_UP = 3;

/** Milliseconds of a step of each kind, of two steps each in a sample. */
export interface TapeSamples {
  readonly ours: readonly number[];
  readonly theirs: readonly number[];
}

export async function tapeSteps(samples: number): Promise<TapeSamples> {
  const trainer = new LocalTrainer();
  const batches = endlessBatches();
  const measured = await inRounds({ warmUp: WARM_UP, rounds: samples }, async () => {
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
  return measured;
}
