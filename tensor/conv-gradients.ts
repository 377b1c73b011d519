/**
 * Gradients of convolutions that tfjs-core refuses: of dilated ones, and of the transposed one over volumes. They are made
 * of the gradients that it has; gradients.ts puts them in place.
 */
import * as core from '@tensorflow/tfjs-core';

type Made = Record<string, () => core.Tensor>;

/**
 * The registered gradient of a convolution, also where it is dilated: that is a plain convolution with a larger filter
 * that has zeros between its elements.
 */
export function withDilations(present: core.GradConfig | undefined): core.GradFunc {
  const plain = (
    dy: core.Tensor | core.Tensor[],
    saved: core.Tensor[],
    attrs: core.NamedAttrMap,
  ): Made => present?.gradFunc(dy, saved, attrs) ?? {};
  return (dy, saved, attrs): Made => {
    const [x, filter] = saved as [core.Tensor, core.Tensor];
    const rates = [attrs['dilations'] ?? 1].flat() as number[];
    if (rates.every((rate) => rate === 1)) return plain(dy, saved, attrs);
    // All axes of a filter but the last two are spatial.
    const dilations = filter.shape.slice(2).map((_, axis) => rates[axis] ?? (rates[0] as number));
    const ofSpread = (): Made => {
      const undilated = { ...attrs, dilations: dilations.map(() => 1) };
      return plain(dy, [x, dilations.reduce(spread, filter)], undilated);
    };
    return {
      x: () => (ofSpread()['x'] as () => core.Tensor)(),
      filter: () => dilations.reduce(gathered, (ofSpread()['filter'] as () => core.Tensor)()),
    };
  };
}

/** The gradient of `Conv3DBackpropInputV2`, which is what `conv3dTranspose` runs. */
export const conv3dTransposeGradient: core.GradFunc = (ddx, saved, attrs): Made => {
  const [dy, filter] = saved as [core.Tensor5D, core.Tensor5D];
  const { strides, pad } = attrs as unknown as core.Conv3DBackpropInputV2Attrs;
  const x = ddx as core.Tensor5D;
  return {
    dy: () => core.conv3d(x, filter, strides, pad),
    filter: () =>
      core
        .engine()
        .runKernel(
          'Conv3DBackpropFilterV2',
          { x, dy },
          { strides, pad, filterShape: filter.shape },
        ),
  };
};

/** Puts `rate` - 1 zeros between the elements along an axis. */
function spread(x: core.Tensor, rate: number, axis: number): core.Tensor {
  const { before, size, after, resized } = around(x, axis);
  const apart = core.pad(core.reshape(x, [before, size, 1, after]), [
    [0, 0],
    [0, 0],
    [0, rate - 1],
    [0, 0],
  ]);
  const length = (size - 1) * rate + 1;
  const whole = core.reshape(apart, [before, size * rate, after]);
  return core.reshape(core.slice(whole, [0, 0, 0], [before, length, after]), resized(length));
}

/** Takes every element at a multiple of `rate` along an axis: the inverse of `spread`. */
function gathered(x: core.Tensor, rate: number, axis: number): core.Tensor {
  const { before, size, after, resized } = around(x, axis);
  const length = (size - 1) / rate + 1;
  const whole = core.pad(core.reshape(x, [before, size, after]), [
    [0, 0],
    [0, rate - 1],
    [0, 0],
  ]);
  const apart = core.reshape(whole, [before, length, rate, after]);
  return core.reshape(core.slice(apart, [0, 0, 0, 0], [before, length, 1, after]), resized(length));
}

/** A shape as seen from one axis. */
function around({ shape }: core.Tensor, axis: number) {
  const sizeOf = (dims: readonly number[]): number => core.util.sizeFromShape([...dims]);
  return {
    before: sizeOf(shape.slice(0, axis)),
    size: shape[axis] as number,
    after: sizeOf(shape.slice(axis + 1)),
    resized: (length: number): number[] => shape.map((dim, i) => (i === axis ? length : dim)),
  };
}
