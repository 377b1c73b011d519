/**
 * AdamW (Loshchilov & Hutter 2019), as `torch.optim.AdamW` of PyTorch 1.13. Before the update of `adam-moments.ts`:
 *
 *     p ← p · (1 − lr · weightDecay)
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
import type { UpdateRule } from './update-rule.ts';

const rule: UpdateRule<AdamOptions> = {
  name: 'AdamW',
  options: adamTable(0.01),
  tensors: MOMENT_NAMES,
  initial: initialMoments,
  update: (before) => {
    const { lr, weightDecay } = before.options;
    return adamUpdate({ ...before, parameter: tf.mul(before.parameter, 1 - lr * weightDecay) });
  },
};

/**
 * Adam with decoupled weight decay. Update rule, options and defaults: `torch.optim.AdamW`. Two tensors of the parameter's
 * size for each parameter that was stepped, three with amsgrad. Sparse gradients are refused.
 */
export class AdamW extends RuleOptimizer<AdamOptions> {
  constructor(parameters: ParametersOrGroups<AdamOptions>, options?: AdamOptions) {
    super(rule, parameters, options);
  }
}

registerOptimizer('AdamW', AdamW);
