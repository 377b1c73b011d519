/**
 * Adagrad (Duchi et al. 2011), as `torch.optim.Adagrad` of PyTorch 1.13. In step t of parameter p with gradient g:
 *
 *     g ← g + weightDecay · p
 *     s ← s + g², from initialAccumulatorValue
 *     p ← p − lr / (1 + (t − 1) · lrDecay) · g / (√s + ε)
 */
import { tf } from '../tensor/index.ts';
import { flagOption, numberOption } from './options.ts';
import type { ParametersOrGroups } from './param-groups.ts';
import { registerOptimizer } from './rule.ts';
import { RuleOptimizer } from './rule-optimizer.ts';
import { withPenalty } from './terms.ts';
import type { UpdateRule } from './update-rule.ts';

export interface AdagradOptions {
  /** Learning rate, finite, ≥ 0. Default 0.01. */
  readonly lr?: number;
  /** How fast the learning rate falls with the steps, finite, ≥ 0. Default 0. */
  readonly lrDecay?: number;
  /** Factor of the parameter that is added to its gradient (L2 penalty), finite, ≥ 0. Default 0. */
  readonly weightDecay?: number;
  /** What the sums of squares start from, finite, ≥ 0. Default 0. */
  readonly initialAccumulatorValue?: number;
  /** Added to the denominator, finite, ≥ 0. Default 1e-10. */
  readonly eps?: number;
  /** Ascends instead of descending. Default false. */
  readonly maximize?: boolean;
}

const SUM = 'sum';

const rule: UpdateRule<AdagradOptions> = {
  name: 'Adagrad',
  options: {
    lr: numberOption(1e-2),
    lrDecay: numberOption(0),
    weightDecay: numberOption(0),
    initialAccumulatorValue: numberOption(0),
    eps: numberOption(1e-10),
    maximize: flagOption(false),
  },
  tensors: [SUM],
  initial: ({ initialAccumulatorValue }) => ({ [SUM]: initialAccumulatorValue }),
  update: ({ parameter, gradient, state, options, step }) => {
    const { lr, lrDecay, weightDecay, eps } = options;
    const decayed = withPenalty(gradient, parameter, weightDecay);
    const sum = tf.add(state[SUM] ?? 0, tf.square(decayed));
    const stepSize = lr / (1 + (step - 1) * lrDecay);
    const change = tf.div(tf.mul(decayed, stepSize), tf.add(tf.sqrt(sum), eps));
    return { parameter: tf.sub(parameter, change), state: { [SUM]: sum } };
  },
  sparse: ({ weightDecay }) =>
    weightDecay === 0 ? { rows: rule.update } : { refused: 'weightDecay' },
};

/**
 * Adagrad. Update rule, options and defaults: `torch.optim.Adagrad`. One tensor of the parameter's size for each parameter
 * that was stepped. A sparse gradient moves its rows alone, as a dense one would; with weight decay it is refused.
 */
export class Adagrad extends RuleOptimizer<AdagradOptions> {
  constructor(parameters: ParametersOrGroups<AdagradOptions>, options?: AdagradOptions) {
    super(rule, parameters, options);
  }
}

registerOptimizer('Adagrad', Adagrad);
