/**
 * Adadelta (Zeiler 2012), as `torch.optim.Adadelta` of PyTorch 1.13. For parameter p with gradient g:
 *
 *     g ← g + weightDecay · p
 *     s ← ρ · s + (1 − ρ) · g²
 *     d ← √(a + ε) / √(s + ε) · g
 *     a ← ρ · a + (1 − ρ) · d²
 *     p ← p − lr · d
 */
import { tf } from '../tensor/index.ts';
import { flagOption, numberOption } from './options.ts';
import type { ParametersOrGroups } from './param-groups.ts';
import { registerOptimizer } from './rule.ts';
import { RuleOptimizer } from './rule-optimizer.ts';
import { movingMean, withPenalty } from './terms.ts';
import type { UpdateRule } from './update-rule.ts';

export interface AdadeltaOptions {
  /** Factor of the step, finite, ≥ 0. Default 1. */
  readonly lr?: number;
  /** Decay of the mean squares, in [0, 1]. Default 0.9. */
  readonly rho?: number;
  /** Added under both roots, finite, ≥ 0. Default 1e-6. */
  readonly eps?: number;
  /** Factor of the parameter that is added to its gradient (L2 penalty), finite, ≥ 0. Default 0. */
  readonly weightDecay?: number;
  /** Ascends instead of descending. Default false. */
  readonly maximize?: boolean;
}

const rule: UpdateRule<AdadeltaOptions> = {
  name: 'Adadelta',
  options: {
    lr: numberOption(1),
    rho: numberOption(0.9, { min: 0, max: 1 }),
    eps: numberOption(1e-6),
    weightDecay: numberOption(0),
    maximize: flagOption(false),
  },
  tensors: ['squareAvg', 'accDelta'],
  initial: () => ({ squareAvg: 0, accDelta: 0 }),
  update: ({ parameter, gradient, state, options }) => {
    const { lr, rho, eps, weightDecay } = options;
    const decayed = withPenalty(gradient, parameter, weightDecay);
    const squareAvg = movingMean(state['squareAvg'], tf.square(decayed), rho);
    const rms = tf.sqrt(tf.add(squareAvg, eps));
    const delta = tf.mul(tf.div(tf.sqrt(tf.add(state['accDelta'] ?? 0, eps)), rms), decayed);
    const accDelta = movingMean(state['accDelta'], tf.square(delta), rho);
    return {
      parameter: tf.sub(parameter, tf.mul(delta, lr)),
      state: { squareAvg, accDelta },
    };
  },
};

/**
 * Adadelta. Update rule, options and defaults: `torch.optim.Adadelta`. Two tensors of the parameter's size for each
 * parameter that was stepped. Sparse gradients are refused.
 */
export class Adadelta extends RuleOptimizer<AdadeltaOptions> {
  constructor(parameters: ParametersOrGroups<AdadeltaOptions>, options?: AdadeltaOptions) {
    super(rule, parameters, options);
  }
}

registerOptimizer('Adadelta', Adadelta);
