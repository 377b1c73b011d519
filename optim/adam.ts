/**
 * Adam (Kingma & Ba 2015), as `torch.optim.Adam` of PyTorch 1.13, and `torch.optim.SparseAdam` for sparse gradients.
 * Before the update of `adam-moments.ts`: g ← g + weightDecay · p.
 *
 * For the rows of a sparse gradient, and for them alone, in step t of the parameter:
 *
 *     m ← m + (1 − β₁) · (g − m)
 *     v ← v + (1 − β₂) · (g² − v)
 *     p ← p − lr · √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + ε)
 *
 * The means of the other rows do not decay (lazy), and ε stands inside the correction: a dense gradient that is zero
 * elsewhere would not give the same.
 */
import { tf } from '../tensor/index.ts';
import {
  type AdamOptions,
  adamTable,
  adamUpdate,
  initialMoments,
  MOMENT_NAMES,
} from './adam-moments.ts';
import type { ParametersOrGroups } from './param-groups.ts';
import { registerOptimizer } from './rule.ts';
import { RuleOptimizer } from './rule-optimizer.ts';
import { withPenalty } from './terms.ts';
import type { After, Before, UpdateRule } from './update-rule.ts';

const rule: UpdateRule<AdamOptions> = {
  name: 'Adam',
  options: adamTable(0),
  tensors: MOMENT_NAMES,
  initial: initialMoments,
  update: (before) => {
    const { parameter, gradient, options } = before;
    return adamUpdate({
      ...before,
      gradient: withPenalty(gradient, parameter, options.weightDecay),
    });
  },
  sparse: ({ weightDecay, amsgrad }) => {
    if (weightDecay !== 0) return { refused: 'weightDecay' };
    return amsgrad ? { refused: 'amsgrad' } : { rows: lazyUpdate };
  },
};

function lazyUpdate({ parameter, gradient, state, options, step }: Before<AdamOptions>): After {
  const { lr, betas, eps } = options;
  const [beta1, beta2] = betas;
  const expAvg = approach(state['expAvg'], gradient, beta1);
  const expAvgSq = approach(state['expAvgSq'], tf.square(gradient), beta2);
  const stepSize = (lr * Math.sqrt(1 - beta2 ** step)) / (1 - beta1 ** step);
  const direction = tf.div(expAvg, tf.add(tf.sqrt(expAvgSq), eps));
  return {
    parameter: tf.sub(parameter, tf.mul(direction, stepSize)),
    state: { expAvg, expAvgSq },
  };
}

/** A mean as `SparseAdam` rounds it. */
function approach(mean: tf.Tensor | undefined, next: tf.Tensor, keep: number): tf.Tensor {
  if (mean === undefined) return tf.mul(next, 1 - keep);
  return tf.add(tf.mul(tf.sub(next, mean), 1 - keep), mean);
}

/**
 * Adam with amsgrad and L2 penalty. Update rule, options and defaults: `torch.optim.Adam`. Two tensors of the parameter's
 * size for each parameter that was stepped, three with amsgrad.
 *
 * A sparse gradient moves its rows alone, by the rule of `torch.optim.SparseAdam`; with amsgrad or weight decay it is
 * refused.
 */
export class Adam extends RuleOptimizer<AdamOptions> {
  constructor(parameters: ParametersOrGroups<AdamOptions>, options?: AdamOptions) {
    super(rule, parameters, options);
  }
}

registerOptimizer('Adam', Adam);
