/** The trainer of the tutorial, with a clock in each step. What it calls is the server of the examples. */
import { autograd, optim } from 'gradwire';
import { remoteMethod } from '../examples/parameter-server/parameter-server.ts';
import { TrainerNet } from '../examples/parameter-server/trainer-net.ts';
import type { Batch } from '../examples/support/batches.ts';
import { LEARNING_RATE, nllLoss } from './local-trainer.ts';

export const CALLS = ['forward', 'backward', 'count', 'step'] as const;

/** Milliseconds of the parts of one step, and its loss. */
export type StepReport = Readonly<Record<(typeof CALLS)[number] | 'loss', number>>;

export class Trainer implements Disposable {
  readonly #net = new TrainerNet();
  #optimizer: optim.DistributedOptimizer<optim.SGDOptions> | undefined;

  async step({ x, y }: Batch): Promise<StepReport> {
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
      const nll = nllLoss(logProbs, y);
      await autograd.backward(contextId, [nll]);
      const backward = lap();
      const found = await remoteMethod('countDistGradients', this.#net.paramServerRRef, contextId);
      const count = lap();
      if (found !== 8) throw new Error(`${found} of 8 parameters have a gradient`);
      await optimizer.step(contextId);
      const step = lap();
      // The loss is read in local steps and by the peer too.
      const [loss] = await nll.data();
      return { forward, backward, count, step, loss: loss as number };
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
