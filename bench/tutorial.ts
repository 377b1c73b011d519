/**
 * Suite `tutorial`: the tutorial's job over a server and a trainer process, against whole steps that the same server
 * process does alone. Blocks of five steps take turns.
 */
import { autograd, optim, rpc } from 'gradwire';
import { remoteMethod } from '../examples/parameter-server/parameter-server.ts';
import { TrainerNet } from '../examples/parameter-server/trainer-net.ts';
import type { Batch } from '../examples/support/batches.ts';
import { type Figure, inRounds, median, ratios, type SuiteOptions, summarize } from './harness.ts';
import { endlessBatches, LEARNING_RATE, nextBatch, nllLoss } from './local-trainer.ts';
import { PEER, withPeer } from './pair.ts';
import { localSteps } from './remote.ts';

/** Steps of a block. */
const BLOCK = 5;

/** Blocks of each kind in a round. */
const BLOCKS = 3;

/** Blocks of each kind before anything counts: the first steps compile. */
const WARM_UP = 3;

const CALLS = ['forward', 'backward', 'count', 'step'] as const;

/** Milliseconds of the parts of one step. */
type StepTimes = Readonly<Record<(typeof CALLS)[number], number>>;

export async function tutorial(options: SuiteOptions): Promise<readonly Figure[]> {
  const { rounds, note, peer } = options;
  if (peer === undefined) {
    note('no peer: give --peer-script FILE --data DIR to run the same job on PyTorch in turns');
  }
  const peerRates: number[] = [];
  const peerRatios: number[] = [];
  const { blocks, steps } = await withPeer(async () => {
    const batches = endlessBatches();
    const trainer = new Trainer();
    const stepTimes: StepTimes[] = [];
    const rates: number[] = [];
    const measured = await inRounds(
      { warmUp: WARM_UP, rounds: rounds * BLOCKS },
      async (index: number) => {
        const local = await rpc.rpcSync(PEER, localSteps, [BLOCK]);
        const start = performance.now();
        for (let i = 0; i < BLOCK; i++) {
          const times = await trainer.step(await nextBatch(batches));
          if (index >= 0) stepTimes.push(times);
        }
        const distributed = performance.now() - start;
        if (index >= 0) rates.push((1000 * BLOCK) / distributed);
        if (index >= 0 && index % BLOCKS === BLOCKS - 1 && peer !== undefined) {
          const rate = await peer();
          peerRates.push(rate);
          peerRatios.push(median(rates.splice(0)) / rate);
        }
        return { distributed, local };
      },
    );
    await batches.return();
    trainer[Symbol.dispose]();
    return { blocks: measured, steps: stepTimes };
  });
  const perSecond = (ms: readonly number[]): number[] => ms.map((one) => (1000 * BLOCK) / one);
  const figures = [
    summarize('tutorial.iterationsPerSecond', '1/s', perSecond(blocks.distributed)),
    summarize('tutorial.localStepsPerSecond', '1/s', perSecond(blocks.local)),
    summarize('tutorial.overLocalStep', 'x', ratios(blocks.local, blocks.distributed), {
      least: 0.9,
    }),
  ];
  for (const call of CALLS) {
    const samples = steps.map((times) => times[call]);
    figures.push(summarize(`tutorial.${call}`, 'ms', samples));
  }
  if (peerRates.length === 0) return figures;
  return [
    ...figures,
    summarize('tutorial.peerIterationsPerSecond', '1/s', peerRates),
    summarize('tutorial.overPeer', 'x', peerRatios, { least: 0.25 }),
  ];
}

/** The trainer of the tutorial, with a clock. */
class Trainer implements Disposable {
  readonly #net = new TrainerNet();
  #optimizer: optim.DistributedOptimizer<optim.SGDOptions> | undefined;

  async step({ x, y }: Batch): Promise<StepTimes> {
    this.#optimizer ??= new optim.DistributedOptimizer(
      optim.SGD,
      await this.#net.getGlobalParamRRefs(),
      { lr: LEARNING_RATE },
    );
    const optimizer = this.#optimizer;
    return autograd.context(async (contextId) => {
      const lap = stopwatch();
      const logProbs = await this.#net.forward(x);
      const forward = lap();
      const loss = nllLoss(logProbs, y);
      await autograd.backward(contextId, [loss]);
      const backward = lap();
      const found = await remoteMethod('countDistGradients', this.#net.paramServerRRef, contextId);
      const count = lap();
      if (found !== 8) throw new Error(`${found} of 8 parameters have a gradient`);
      await optimizer.step(contextId);
      const step = lap();
      // The loss is read in local steps and by the peer too.
      await loss.data();
      return { forward, backward, count, step };
    });
  }

  [Symbol.dispose](): void {
    this.#optimizer?.[Symbol.dispose]();
    this.#net.paramServerRRef.dispose();
  }
}

/** Each call gives the milliseconds since the one before. */
function stopwatch(): () => number {
  let last = performance.now();
  return () => {
    const now = performance.now();
    const lap = now - last;
    last = now;
    return lap;
  };
}
