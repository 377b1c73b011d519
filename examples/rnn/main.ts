/**
 * PyTorch's example "Distributed RNN using Distributed Autograd and Distributed Optimizer": rank 0 is the parameter server,
 * rank 1 trains. The model learns to spell numbers.
 */
import { autograd, optim, rpc, tf } from 'gradwire';
import { endWith } from '../support/end-with.ts';
import { crossEntropy } from '../support/losses.ts';
import { Progress } from '../support/progress.ts';
import { type Place, runExample } from '../support/run-example.ts';
import { type Hidden, RNNModel } from './rnn.ts';
import { NTOKEN, pieces } from './text.ts';

const FLAGS = {
  epochs: { type: 'int', default: 25, min: 1, help: 'passes over the text' },
  batchSize: { type: 'int', default: 10, min: 1, help: 'rows that read the text at once' },
  nhid: { type: 'int', default: 48, min: 1, help: 'hidden units of each layer' },
  nlayers: { type: 'int', default: 1, min: 1, help: 'layers of the LSTM' },
  dropout: { type: 'number', default: 0, min: 0, max: 0.9, help: 'part of the values dropped' },
  lr: { type: 'number', default: 1, min: 0, help: 'learning rate' },
} as const;

/** Letters in a piece. */
const STEPS = 16;

async function runTrainer({ flags, settings, write }: Place<typeof FLAGS>): Promise<void> {
  const { epochs, batchSize, nhid, nlayers, dropout, lr, seed } = flags;
  const model = new RNNModel('ps', { ntoken: NTOKEN, ninp: 16, nhid, nlayers, dropout, seed });
  // Setup distributed optimizer.
  const opt = new optim.DistributedOptimizer(optim.SGD, await model.parameterRRefs(), {
    lr,
    momentum: 0.9,
  });
  write({ event: 'start', ...settings });
  const batches = [...pieces(batchSize, STEPS)];
  const progress = new Progress({ label: 'trainer', total: epochs * batches.length });
  const perplexities: number[] = [];
  // Train for `epochs` epochs.
  for (let epoch = 0; epoch < epochs; epoch++) {
    let hidden = zeros(nlayers, batchSize, nhid);
    let total = 0;
    for (const [i, { data, target }] of batches.entries()) {
      const previous = hidden;
      // Create distributed autograd context. What it returns is no part of the next one: nothing needs to be detached.
      const step = await autograd.context(async (contextId) => {
        const { output, hidden } = await model.forward(
          tf.tensor2d(data, undefined, 'int32'),
          previous,
        );
        const loss = crossEntropy(output, stepByStep(target));
        // Run distributed backward pass.
        await autograd.backward(contextId, [loss]);
        // Run distributed optimizer.
        await opt.step(contextId);
        // Not necessary to zero grads: each context has its own.
        return { hidden, loss: (await loss.data())[0] as number };
      });
      tf.dispose([...previous.h, ...previous.c]);
      hidden = step.hidden;
      total += step.loss;
      progress.update(epoch * batches.length + i + 1, { loss: step.loss });
    }
    tf.dispose([...hidden.h, ...hidden.c]);
    const perplexity = Math.exp(total / batches.length);
    perplexities.push(perplexity);
    write({ event: 'epoch', epoch, perplexity });
  }
  progress.end();
  const [first, last] = [perplexities[0] as number, perplexities.at(-1) as number];
  write({ event: 'end', ...settings, first, last });
  console.log(`Perplexity ${last.toFixed(3)} in epoch ${epochs}, ${first.toFixed(3)} in the first`);
}

function zeros(nlayers: number, batch: number, nhid: number): Hidden {
  const layers = () => Array.from({ length: nlayers }, () => tf.zeros<tf.Rank.R2>([batch, nhid]));
  return { h: layers(), c: layers() };
}

/** Targets `[batch][steps]` in the order of the scores: those of the first step come first. */
function stepByStep(target: readonly (readonly number[])[]): tf.Tensor1D {
  const steps = target[0] ?? [];
  return tf.tensor1d(
    steps.flatMap((_, step) => target.map((row) => row[step] as number)),
    'int32',
  );
}

runExample(
  {
    name: 'rnn',
    text: 'Trains an RNN whose embedding and decoder live on another worker.',
    processes: 2,
    reporter: 1,
    flags: FLAGS,
  },
  async (place) => {
    if (place.rank === 1) {
      endWith(await rpc.init({ name: 'trainer' }));
      await runTrainer(place);
    } else {
      // The parameter server does nothing by itself.
      endWith(await rpc.init({ name: 'ps' }));
    }
    // Block until all rpcs finish.
    await rpc.shutdown();
  },
);
