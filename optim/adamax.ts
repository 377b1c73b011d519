/**
 * Adamax (Kingma & Ba 2015), as `torch.optim.Adamax` of PyTorch 1.13. In step t of parameter p with gradient g:
 *
 *     g ← g + weightDecay · p
 *     m ← β₁ · m + (1 − β₁) · g
 *     u ← max(β₂ · u, |g| + ε)
 *     p ← p − lr / (1 − β₁ᵗ) · m / u
 */
import { tf } from '../tensor/index.ts';
import { flagOption, numberOption, pairOption } from './options.ts';
import type { ParametersOrGroups } from './param-groups.ts';
import { registerOptimizer } from './rule.ts';
import { RuleOptimizer } from './rule-optimizer.ts';
import { movingMean, withPenalty } from './terms.ts';
import type { UpdateRule } from './update-rule.ts';

export interface AdamaxOptions {
  /** Learning rate, finite, ≥ 0. Default 0.002. */
  readonly lr?: number;
  /** Decay of the mean of the gradient and of the largest absolute value, each in [0, 1). Default [0.9, 0.999]. */
  readonly betas?: readonly [number, number];
  /** Added to the absolute value of the gradient, finite, ≥ 0. Default 1e-8. */
  readonly eps?: number;
  /** Factor of the parameter that is added to its gradient (L2 penalty), finite, ≥ 0. Default 0. */
  readonly weightDecay?: number;
  /** Ascends instead of descending. Default false. */
  readonly maximize?: boolean;
}

const rule: UpdateRule<AdamaxOptions> = {
  name: 'Adamax',
  options: {
    lr: numberOption(2e-3),
    betas: pairOption([0.9, 0.999], { min: 0, below: 1 }),
    eps: numberOption(1e-8),
    weightDecay: numberOption(0),
    maximize: flagOption(false),
  },
  tensors: ['expAvg', 'expInf'],
  initial: () => ({ expAvg: 0, expInf: 0 }),
  update: ({ parameter, gradient, state, options, step }) => {
    const { lr, betas, eps, weightDecay } = options;
    const [beta1, beta2] = betas;
    const decayed = withPenalty(gradient, parameter, weightDecay);
    const expAvg = movingMean(state['expAvg'], decayed, beta1);
    const expInf = tf.maximum(tf.mul(state['expInf'] ?? 0, beta2), tf.add(tf.abs(decayed), eps));
    const stepSize = lr / (1 - beta1 ** step);
    return {
      parameter: tf.sub(parameter, tf.div(tf.mul(expAvg, stepSize), expInf)),
      state: { expAvg, expInf },
    };
  },
};

/**
 * Adam by the infinity norm. Update rule, options and defaults: `torch.optim.Adamax`. Two tensors of the parameter's size
 * for each parameter that was stepped. Sparse gradients are refused.
 */
export class Adamax extends RuleOptimizer<AdamaxOptions> {
  constructor(parameters: ParametersOrGroups<AdamaxOptions>, options?: AdamaxOptions) {
    super(rule, parameters, options);
  }
}

registerOptimizer('Adamax', Adamax);
