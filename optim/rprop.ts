/**
 * Rprop (Riedmiller & Braun 1993), as `torch.optim.Rprop` of PyTorch 1.13. For each element of parameter p with gradient g,
 * the gradient g′ of the step before, and a step size d, which is lr at first:
 *
 *     d ← clamp(d · η, stepSizes)  with η = η₊ if g · g′ > 0, η₋ if g · g′ < 0, else 1
 *     g ← 0 if g · g′ < 0
 *     p ← p − sign(g) · d
 *     g′ ← g
 */
import { tf } from '../tensor/index.ts';
import { flagOption, numberOption, pairOption } from './options.ts';
import type { ParametersOrGroups } from './param-groups.ts';
import { registerOptimizer } from './rule.ts';
import { RuleOptimizer } from './rule-optimizer.ts';
import type { UpdateRule } from './update-rule.ts';

export interface RpropOptions {
  /** The first step size, finite, ≥ 0. Default 0.01. */
  readonly lr?: number;
  /** Factors of the step size where the sign of the gradient changes, and where it stays: η₋ < 1 < η₊. Default [0.5, 1.2]. */
  readonly etas?: readonly [number, number];
  /** Smallest and largest step size. Default [1e-6, 50]. */
  readonly stepSizes?: readonly [number, number];
  /** Ascends instead of descending. Default false. */
  readonly maximize?: boolean;
}

const rule: UpdateRule<RpropOptions> = {
  name: 'Rprop',
  options: {
    lr: numberOption(1e-2),
    etas: pairOption([0.5, 1.2]),
    stepSizes: pairOption([1e-6, 50]),
    maximize: flagOption(false),
  },
  conflict: ({ etas: [minus, plus] }) =>
    minus > 0 && minus < 1 && plus > 1 ? undefined : 'etas are not 0 < η₋ < 1 < η₊',
  tensors: ['prev', 'stepSize'],
  initial: ({ lr }) => ({ prev: 0, stepSize: lr }),
  update: ({ parameter, gradient, state, options }) => {
    const [minus, plus] = options.etas;
    const [smallest, largest] = options.stepSizes;
    const product = tf.mul(gradient, state['prev'] ?? 0);
    const hasTurned = tf.less(product, 0);
    const unturned = tf.where(tf.greater(product, 0), tf.fill(product.shape, plus), 1);
    const factor = tf.where(hasTurned, tf.fill(product.shape, minus), unturned);
    const grown = tf.mul(state['stepSize'] ?? options.lr, factor);
    const stepSize = tf.clipByValue(grown, smallest, largest);
    const prev = tf.where(hasTurned, tf.zerosLike(gradient), gradient);
    return {
      parameter: tf.sub(parameter, tf.mul(tf.sign(prev), stepSize)),
      state: { prev, stepSize },
    };
  },
};

/**
 * Resilient back-propagation, by the signs of the gradients alone. Update rule, options and defaults: `torch.optim.Rprop`.
 * Two tensors of the parameter's size for each parameter that was stepped. Sparse gradients are refused.
 */
export class Rprop extends RuleOptimizer<RpropOptions> {
  constructor(parameters: ParametersOrGroups<RpropOptions>, options?: RpropOptions) {
    super(rule, parameters, options);
  }
}

registerOptimizer('Rprop', Rprop);
