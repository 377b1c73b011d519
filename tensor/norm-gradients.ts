/**
 * The gradient of batch normalization, whatever the shapes of its statistics: that of tfjs-core adds nothing up unless they
 * have rank 1, and so refuses to normalize any axis but the last. gradients.ts puts it in place.
 */
import * as core from '@tensorflow/tfjs-core';
import { sumTo } from './sum-to.ts';

/**
 * The gradient of `FusedBatchNorm`: of y = scale (x - mean) r + offset with r = (variance + epsilon)^(-1/2). tfjs
 * records none without a scale.
 */
export const batchNormGradient: core.GradFunc = (dy, saved, attrs) => {
  const [x, mean, variance, scale] = saved as [core.Tensor, core.Tensor, core.Tensor, core.Tensor];
  const { varianceEpsilon } = attrs as unknown as core.FusedBatchNormAttrs;
  const upstream = dy as core.Tensor;
  const r = (): core.Tensor => core.rsqrt(core.add(variance, varianceEpsilon));
  const dx = (): core.Tensor => core.mul(core.mul(upstream, scale), r());
  const centred = (): core.Tensor => core.sub(x, mean);
  return {
    x: dx,
    mean: () => core.neg(sumTo(dx(), mean.shape)),
    variance: () => {
      const each = core.mul(core.mul(dx(), centred()), core.square(r()));
      return core.mul(sumTo(each, variance.shape), -0.5);
    },
    scale: () => sumTo(core.mul(core.mul(upstream, centred()), r()), scale.shape),
    offset: () => sumTo(upstream, mean.shape),
  };
};
