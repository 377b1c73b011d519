/**
 * What Adam and AdamW share, as in PyTorch 1.13. For gradient g in step t:
 *
 *     m ← β₁ · m + (1 − β₁) · g
 *     v ← β₂ · v + (1 − β₂) · g²
 *     v̂ ← max(v̂, v) with amsgrad, else v
 *     p ← p − lr / (1 − β₁ᵗ) · m / (√v̂ / √(1 − β₂ᵗ) + ε)
 */
import { tf } from '../tensor/index.ts';
import { flagOption, numberOption, type OptionTable, pairOption } from './options.ts';
import { movingMean } from './terms.ts';
import type { After, Before } from './update-rule.ts';

export interface AdamOptions {
  /** Learning rate, finite, ≥ 0. Default 0.001. */
  readonly lr?: number;
  /** Decay of the means of the gradient and of its square, each in [0, 1). Default [0.9, 0.999]. */
  readonly betas?: readonly [number, number];
  /** Added to the denominator, finite, ≥ 0. Default 1e-8. */
  readonly eps?: number;
  /** Decay of the parameter, finite, ≥ 0. Default 0 for Adam (L2 penalty), 0.01 for AdamW (decoupled). */
  readonly weightDecay?: number;
  /** Divides by the largest mean square so far (Reddi et al. 2018). Default false. */
  readonly amsgrad?: boolean;
  /** Ascends instead of descending. Default false. */
  readonly maximize?: boolean;
}

export const MOMENT_NAMES: readonly string[] = ['expAvg', 'expAvgSq', 'maxExpAvgSq'];

export function adamTable(weightDecay: number): OptionTable<AdamOptions> {
  return {
    lr: numberOption(1e-3),
    betas: pairOption([0.9, 0.999], { min: 0, below: 1 }),
    eps: numberOption(1e-8),
    weightDecay: numberOption(weightDecay),
    amsgrad: flagOption(false),
    maximize: flagOption(false),
  };
}

export function initialMoments({ amsgrad }: Required<AdamOptions>): Record<string, number> {
  return { expAvg: 0, expAvgSq: 0, ...(amsgrad ? { maxExpAvgSq: 0 } : {}) };
}

/** The update without any decay of the parameter. */
export function adamUpdate({
  parameter,
  gradient,
  state,
  options,
  step,
}: Before<AdamOptions>): After {
  const { lr, betas, eps, amsgrad } = options;
  const [beta1, beta2] = betas;
  const expAvg = movingMean(state['expAvg'], gradient, beta1);
  const expAvgSq = movingMean(state['expAvgSq'], tf.square(gradient), beta2);
  const largest = amsgrad ? tf.maximum(state['maxExpAvgSq'] ?? expAvgSq, expAvgSq) : undefined;
  const root = Math.sqrt(1 - beta2 ** step);
  const denominator = tf.add(tf.div(tf.sqrt(largest ?? expAvgSq), root), eps);
  const stepSize = lr / (1 - beta1 ** step);
  return {
    parameter: tf.sub(parameter, tf.div(tf.mul(expAvg, stepSize), denominator)),
    state: { expAvg, expAvgSq, ...(largest === undefined ? {} : { maxExpAvgSq: largest }) },
  };
}
