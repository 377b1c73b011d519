/**
 * RMSprop (Hinton 2012; centered: Graves 2013), as `torch.optim.RMSprop` of PyTorch 1.13. For parameter p with gradient g:
 *
 *     g ← g + weightDecay · p
 *     s ← α · s + (1 − α) · g²
 *     m ← α · m + (1 − α) · g                            (only if centered)
 *     d ← g / (√(s − m²) + ε), with m = 0 unless centered
 *     b ← momentum · b + d, p ← p − lr · b               (p ← p − lr · d without momentum)
 */
import { tf } from '../tensor/index.ts';
import { flagOption, numberOption } from './options.ts';
import type { ParametersOrGroups } from './param-groups.ts';
import { registerOptimizer } from './rule.ts';
import { RuleOptimizer } from './rule-optimizer.ts';
import { movingMean, withPenalty } from './terms.ts';
import type { UpdateRule } from './update-rule.ts';

export interface RMSpropOptions {
  /** Learning rate, finite, ≥ 0. Default 0.01. */
  readonly lr?: number;
  /** Decay of the means, finite, ≥ 0. Default 0.99. */
  readonly alpha?: number;
  /** Added to the denominator, finite, ≥ 0. Default 1e-8. */
  readonly eps?: number;
  /** Factor of the parameter that is added to its gradient (L2 penalty), finite, ≥ 0. Default 0. */
  readonly weightDecay?: number;
  /** Share of the buffer that survives a step, finite, ≥ 0. Default 0: no buffer. */
  readonly momentum?: number;
  /** Divides by an estimate of the variance instead of the mean square. Default false. */
  readonly centered?: boolean;
  /** Ascends instead of descending. Default false. */
  readonly maximize?: boolean;
}

const rule: UpdateRule<RMSpropOptions> = {
  name: 'RMSprop',
  options: {
    lr: numberOption(1e-2),
    alpha: numberOption(0.99),
    eps: numberOption(1e-8),
    weightDecay: numberOption(0),
    momentum: numberOption(0),
    centered: flagOption(false),
    maximize: flagOption(false),
  },
  tensors: ['squareAvg', 'momentumBuffer', 'gradAvg'],
  initial: ({ momentum, centered }) => ({
    squareAvg: 0,
    ...(momentum > 0 ? { momentumBuffer: 0 } : {}),
    ...(centered ? { gradAvg: 0 } : {}),
  }),
  update: ({ parameter, gradient, state, options }) => {
    const { lr, alpha, eps, weightDecay, momentum, centered } = options;
    const decayed = withPenalty(gradient, parameter, weightDecay);
    const squareAvg = movingMean(state['squareAvg'], tf.square(decayed), alpha);
    const gradAvg = centered ? movingMean(state['gradAvg'], decayed, alpha) : undefined;
    const spread = gradAvg === undefined ? squareAvg : tf.sub(squareAvg, tf.square(gradAvg));
    const denominator = tf.add(tf.sqrt(spread), eps);
    const means = { squareAvg, ...(gradAvg === undefined ? {} : { gradAvg }) };
    if (momentum === 0) {
      const change = tf.div(tf.mul(decayed, lr), denominator);
      return { parameter: tf.sub(parameter, change), state: means };
    }
    const direction = tf.div(decayed, denominator);
    const momentumBuffer = tf.add(tf.mul(state['momentumBuffer'] ?? 0, momentum), direction);
    return {
      parameter: tf.sub(parameter, tf.mul(momentumBuffer, lr)),
      state: { ...means, momentumBuffer },
    };
  },
};

/**
 * RMSprop, centered and with momentum as asked for. Update rule, options and defaults: `torch.optim.RMSprop`. One to three
 * tensors of the parameter's size for each parameter that was stepped. Sparse gradients are refused.
 */
export class RMSprop extends RuleOptimizer<RMSpropOptions> {
  constructor(parameters: ParametersOrGroups<RMSpropOptions>, options?: RMSpropOptions) {
    super(rule, parameters, options);
  }
}

registerOptimizer('RMSprop', RMSprop);
