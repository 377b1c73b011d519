/**
 * Stochastic gradient descent, as `torch.optim.SGD` of PyTorch 1.13. For parameter p with gradient g, in this order:
 *
 *     g ← g + weightDecay · p
 *     b ← g at the first step of p, momentum · b + (1 − dampening) · g after it        (only if momentum ≠ 0)
 *     g ← g + momentum · b with nesterov, else b                                        (only if momentum ≠ 0)
 *     p ← p − lr · g
 *
 * The learning rate stands outside the buffer b, unlike in Sutskever et al. 2013 (a change of lr acts at once).
 */
import { tf } from '../tensor/index.ts';
import { flagOption, numberOption } from './options.ts';
import type { ParametersOrGroups } from './param-groups.ts';
import { registerOptimizer } from './rule.ts';
import { RuleOptimizer } from './rule-optimizer.ts';
import { withPenalty } from './terms.ts';
import type { Before, UpdateRule } from './update-rule.ts';

export interface SGDOptions {
  /** Learning rate, finite, ≥ 0. Required. */
  readonly lr: number;
  /** Share of the buffer that survives a step, finite, ≥ 0. Default 0: no buffer. */
  readonly momentum?: number;
  /** Share of the gradient that does not enter the buffer, finite. Default 0. */
  readonly dampening?: number;
  /** Factor of the parameter that is added to its gradient (L2 penalty), finite, ≥ 0. Default 0. */
  readonly weightDecay?: number;
  /** Nesterov's look-ahead; needs momentum > 0 and dampening 0. Default false. */
  readonly nesterov?: boolean;
  /** Ascends instead of descending. Default false. */
  readonly maximize?: boolean;
}

const BUFFER = 'momentumBuffer';

const rule: UpdateRule<SGDOptions> = {
  name: 'SGD',
  options: {
    lr: numberOption(undefined),
    momentum: numberOption(0),
    dampening: numberOption(0, {}),
    weightDecay: numberOption(0),
    nesterov: flagOption(false),
    maximize: flagOption(false),
  },
  conflict: ({ nesterov, momentum, dampening }) =>
    nesterov && (momentum === 0 || dampening !== 0)
      ? 'nesterov needs momentum > 0 and dampening 0'
      : undefined,
  tensors: [BUFFER],
  initial: () => ({}),
  update: (before) => {
    const { parameter, gradient, options } = before;
    const { lr, momentum, weightDecay } = options;
    const decayed = withPenalty(gradient, parameter, weightDecay);
    if (momentum === 0) return { parameter: tf.sub(parameter, tf.mul(decayed, lr)) };
    const { buffer, direction } = withMomentum(before, decayed);
    return {
      parameter: tf.sub(parameter, tf.mul(direction, lr)),
      state: { [BUFFER]: buffer },
    };
  },
  sparse: ({ momentum, weightDecay }) => {
    if (weightDecay !== 0) return { refused: 'weightDecay' };
    // A row that once had a gradient moves on with its momentum, so all rows take part.
    return momentum === 0 ? { rows: rule.update } : 'dense';
  },
};

function withMomentum(
  { state, options }: Before<SGDOptions>,
  gradient: tf.Tensor,
): { buffer: tf.Tensor; direction: tf.Tensor } {
  const { momentum, dampening, nesterov } = options;
  const previous = state[BUFFER];
  // The first buffer is the gradient itself, without dampening. The clone shares its memory, not its owner.
  const buffer =
    previous === undefined
      ? tf.clone(gradient)
      : tf.add(
          tf.mul(previous, momentum),
          dampening === 0 ? gradient : tf.mul(gradient, 1 - dampening),
        );
  return { buffer, direction: nesterov ? tf.add(gradient, tf.mul(buffer, momentum)) : buffer };
}

/**
 * Gradient descent with momentum, weight decay and Nesterov's variant. Update rule, options and defaults:
 * `torch.optim.SGD`. One buffer of the parameter's size for each parameter that was stepped, if momentum is used.
 *
 * A sparse gradient moves its rows alone; with momentum all rows, as PyTorch's does; with weight decay it is refused.
 */
export class SGD extends RuleOptimizer<SGDOptions> {
  constructor(parameters: ParametersOrGroups<SGDOptions>, options?: SGDOptions) {
    super(rule, parameters, options);
  }
}

registerOptimizer('SGD', SGD);
