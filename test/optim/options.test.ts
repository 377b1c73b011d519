/** What options the optimizers refuse, and what they are by default. */
import { beforeAll, expect, test } from '@jest/globals';
import * as optim from '../../optim/index.ts';
import { startEngine, tf } from '../../tensor/index.ts';
import { expectNoLeak } from '../support/leaks.ts';

beforeAll(async () => {
  await startEngine('cpu');
});

function withOptimizer<R>(name: string, options: unknown, fn: (made: optim.Optimizer) => R): R {
  const parameter = tf.tidy(() => tf.variable(tf.scalar(1)));
  try {
    const Class = optim.optimizerNamed(name);
    const optimizer = new Class([parameter], options);
    const result = fn(optimizer);
    optimizer.dispose();
    return result;
  } finally {
    parameter.dispose();
  }
}

const REFUSED: readonly (readonly [string, object])[] = [
  ['Adam', { lr: -1 }],
  ['Adam', { lr: null }],
  ['Adam', { betas: [0.9] }],
  ['Adam', { betas: [0.9, 1] }],
  ['Adam', { betas: [-0.1, 0.9] }],
  ['Adam', { betas: 0.9 }],
  ['Adam', { eps: -1 }],
  ['Adam', { weightDecay: Number.NaN }],
  ['Adam', { amsgrad: 1 }],
  ['Adam', { momentum: 0.9 }],
  ['AdamW', { weightDecay: -0.1 }],
  ['AdamW', { maximize: 'yes' }],
  ['Adagrad', { lrDecay: -1 }],
  ['Adagrad', { initialAccumulatorValue: -1 }],
  ['Adagrad', { eps: Number.POSITIVE_INFINITY }],
  ['Adadelta', { rho: 1.1 }],
  ['Adadelta', { rho: -0.1 }],
  ['Adamax', { betas: [1, 0.9] }],
  ['RMSprop', { alpha: -1 }],
  ['RMSprop', { momentum: -1 }],
  ['RMSprop', { centered: 0 }],
  ['Rprop', { etas: [1.2, 0.5] }],
  ['Rprop', { etas: [0, 1.2] }],
  ['Rprop', { etas: [0.5, 1] }],
  ['Rprop', { stepSizes: [-1, 1] }],
];

test.each(REFUSED)('%s refuses %j', async (name, options) => {
  await expectNoLeak(() => {
    const invalid = expect.objectContaining({ code: 'invalid_argument' });
    expect(() => withOptimizer(name, options, () => {})).toThrow(invalid);
  });
});

/** The defaults of torch 1.13. */
const DEFAULTS: readonly (readonly [string, object])[] = [
  ['Adam', { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0, amsgrad: false }],
  ['AdamW', { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 1e-2, amsgrad: false }],
  ['Adagrad', { lr: 1e-2, lrDecay: 0, weightDecay: 0, initialAccumulatorValue: 0, eps: 1e-10 }],
  ['Adadelta', { lr: 1, rho: 0.9, eps: 1e-6, weightDecay: 0 }],
  ['Adamax', { lr: 2e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 }],
  ['RMSprop', { lr: 1e-2, alpha: 0.99, eps: 1e-8, weightDecay: 0, momentum: 0, centered: false }],
  ['Rprop', { lr: 1e-2, etas: [0.5, 1.2], stepSizes: [1e-6, 50] }],
];

test.each(DEFAULTS)('%s has the defaults %j', async (name, expected) => {
  await expectNoLeak(async () => {
    const saved = await withOptimizer(name, undefined, (made) => made.stateDict());
    expect(saved.paramGroups[0]?.options).toEqual({ ...expected, maximize: false });
  });
});
