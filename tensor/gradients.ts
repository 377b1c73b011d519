/**
 * What is wrong with the gradients that tfjs-core registers for its kernels, whatever the engine, and what stands in their
 * place: one table, installed when the package is loaded.
 */
import * as core from '@tensorflow/tfjs-core';
// Its bundle holds a copy of all gradients and registers them when it is loaded: that must come before.
import '@tensorflow/tfjs-layers';
import { conv3dTransposeGradient, withDilations } from './conv-gradients.ts';
import { batchNormGradient } from './norm-gradients.ts';
import { withRows } from './rows-form.ts';
import { sumTo } from './sum-to.ts';

type Made = Record<string, () => core.Tensor>;

/** One gradient that is replaced or added. */
export interface GradientRepair {
  readonly kernel: string;
  readonly state: 'missing' | 'wrong' | 'slow';
  readonly reason: string;
  readonly inputsToSave: readonly string[];
  readonly run: core.GradFunc;
}

const BROADCAST = 'refused where one input is broadcast';

/** Every gradient that is replaced, and why. */
export const GRADIENT_REPAIRS: readonly GradientRepair[] = [
  ...['Maximum', 'Minimum', 'SquaredDifference', 'BatchMatMul'].map(
    (kernel): GradientRepair => ({
      kernel,
      state: 'wrong',
      reason: BROADCAST,
      inputsToSave: ['a', 'b'],
      run: summedUp(core.getGradient(kernel)),
    }),
  ),
  wrong('MirrorPad', 'what is mirrored gets no gradient', ([x], { attrs, dy }) =>
    foldBack(dy, x.shape, attrs as unknown as core.MirrorPadAttrs),
  ),
  wrong('Cumsum', 'refused or transposed along any axis but the last', ([x], { attrs, dy }) => {
    const { axis, exclusive, reverse } = attrs as unknown as core.CumsumAttrs;
    return core.cumsum(dy, axisOf(axis, x), exclusive, !reverse);
  }),
  wrong('Prod', 'refused for negative axes', ([x], { attrs, dy }) => {
    const { axis } = attrs as unknown as core.ProdAttrs;
    return productGradient(x, dy, core.util.parseAxisParam(axis, x.shape));
  }),
  {
    kernel: 'GatherNd',
    state: 'missing',
    reason: 'gatherND has no gradient',
    inputsToSave: ['params', 'indices'],
    run: (dy, saved) => {
      const [params, indices] = saved as [core.Tensor, core.Tensor];
      return { params: () => core.scatterND(indices, single(dy), params.shape) };
    },
  },
  {
    kernel: 'GatherV2',
    state: 'slow',
    reason: 'rows that were not looked up are computed too',
    inputsToSave: ['x', 'indices'],
    run: byRows(core.getGradient('GatherV2')),
  },
  ...['SplitV', 'Unpack'].map((kernel): GradientRepair => {
    const present = core.getGradient(kernel);
    return {
      kernel,
      state: 'wrong',
      reason: 'refused where there is a single part',
      inputsToSave: [],
      run: (dy, saved, attrs) => present?.gradFunc([dy].flat(), saved, attrs) ?? {},
    };
  }),
  ...['Conv2D', 'DepthwiseConv2dNative', 'Conv3D'].map(
    (kernel): GradientRepair => ({
      kernel,
      state: 'missing',
      reason: 'dilated convolutions are refused',
      inputsToSave: ['x', 'filter'],
      run: withDilations(core.getGradient(kernel)),
    }),
  ),
  {
    kernel: 'Conv3DBackpropInputV2',
    state: 'missing',
    reason: 'conv3dTranspose and its layer have no gradient',
    inputsToSave: ['dy', 'filter'],
    run: conv3dTransposeGradient,
  },
  {
    kernel: 'FusedBatchNorm',
    state: 'wrong',
    reason: 'refused where statistics are not of rank 1',
    inputsToSave: ['x', 'mean', 'variance', 'scale'],
    run: batchNormGradient,
  },
  ...['Equal', 'NotEqual', 'Greater', 'Less', 'LessEqual', 'LogicalAnd', 'LogicalOr'].map(
    (kernel) => noneThrough(kernel, ['a', 'b']),
  ),
  {
    ...noneThrough('FloorDiv', ['a', 'b']),
    state: 'wrong',
    reason: 'that of div, where there is none',
  },
  ...['All', 'Any', 'LogicalNot'].map((kernel) => noneThrough(kernel, ['x'])),
];

/** Puts every replacement in place; a second call changes nothing. */
export function installGradients(): void {
  for (const { kernel, inputsToSave, run } of GRADIENT_REPAIRS) {
    const present = core.getGradient(kernel);
    if (present?.gradFunc === run) continue;
    if (present !== undefined) core.unregisterGradient(kernel);
    core.registerGradient({
      kernelName: kernel,
      inputsToSave: [...inputsToSave],
      gradFunc: run,
    });
  }
}

interface Upstream {
  readonly dy: core.Tensor;
  readonly attrs: core.NamedAttrMap;
}

/** The gradient of a kernel of one input `x`. */
function wrong(
  kernel: string,
  reason: string,
  gradient: (saved: [core.Tensor], upstream: Upstream) => core.Tensor,
): GradientRepair {
  const run: core.GradFunc = (dy, saved, attrs) => ({
    x: () => gradient(saved as [core.Tensor], { dy: single(dy), attrs }),
  });
  return { kernel, state: 'wrong', reason, inputsToSave: ['x'], run };
}

function single(dy: core.Tensor | core.Tensor[]): core.Tensor {
  return Array.isArray(dy) ? (dy[0] as core.Tensor) : dy;
}

/** The registered gradient, added up over the axes along which an input was repeated. */
function summedUp(present: core.GradConfig | undefined): core.GradFunc {
  return (dy, saved, attrs): Made => {
    const [a, b] = saved as [core.Tensor, core.Tensor];
    const made = present?.gradFunc(dy, saved, attrs) ?? {};
    return {
      a: () => sumTo((made['a'] as () => core.Tensor)(), a.shape),
      b: () => sumTo((made['b'] as () => core.Tensor)(), b.shape),
    };
  };
}

/** The registered gradient, which along the first axis can be had as the rows that were looked up. */
function byRows(present: core.GradConfig | undefined): core.GradFunc {
  return (dy, saved, attrs): Made => {
    const [x, indices] = saved as [core.Tensor, core.Tensor];
    const made = present?.gradFunc(dy, saved, attrs) ?? {};
    const { axis, batchDims } = attrs as unknown as core.GatherV2Attrs;
    const dense = made['x'];
    if (dense === undefined || axisOf(axis, x) !== 0 || batchDims > 0) return made;
    const rows = () => ({
      indices: core.reshape(indices, [indices.size]) as core.Tensor1D,
      values: core.reshape(single(dy), [indices.size, ...x.shape.slice(1)]),
    });
    return { ...made, x: withRows(dense, rows) };
  };
}

/** Nothing flows through what is only true or false. */
function noneThrough(kernel: string, inputs: readonly string[]): GradientRepair {
  return {
    kernel,
    state: 'missing',
    reason: 'tf.grads refuses functions that compare',
    inputsToSave: inputs,
    run: (_dy, saved): Made =>
      Object.fromEntries(
        inputs.map((name, i) => [name, () => core.zeros((saved[i] as core.Tensor).shape)]),
      ),
  };
}

/** Adds to each element the gradients of its mirror images, axis by axis. */
function foldBack(
  dy: core.Tensor,
  shape: readonly number[],
  { paddings, mode }: core.MirrorPadAttrs,
): core.Tensor {
  const edge = mode === 'reflect' ? 1 : 0;
  return paddings.reduce((whole, [before, after], axis) => {
    const size = shape[axis] as number;
    const part = (start: number, length: number): core.Tensor => {
      const begin = whole.shape.map((_, i) => (i === axis ? start : 0));
      return core.slice(
        whole,
        begin,
        whole.shape.map((dim, i) => (i === axis ? length : dim)),
      );
    };
    const placed = (image: core.Tensor, left: number): core.Tensor => {
      const right = size - left - (image.shape[axis] as number);
      return core.pad(
        core.reverse(image, axis),
        whole.shape.map((_, i) => (i === axis ? [left, right] : [0, 0])),
      );
    };
    const first = placed(part(0, before), edge);
    const last = placed(part(before + size, after), size - edge - after);
    return core.addN([part(before, size), first, last]);
  }, dy);
}

/** For each element the product of all others, which is right where an element is 0 too. */
function productGradient(x: core.Tensor, dy: core.Tensor, axes: readonly number[]): core.Tensor {
  const rest = x.shape.map((_, i) => i).filter((i) => !axes.includes(i));
  const order = [...rest, ...axes];
  const columns = axes.reduce((size, axis) => size * (x.shape[axis] as number), 1);
  const turned = core.transpose(x, order);
  const matrix = core.reshape(turned, [-1, columns]);
  const others = core.mul(core.cumprod(matrix, 1, true), core.cumprod(matrix, 1, true, true));
  const product = core.reshape(core.mul(others, core.reshape(dy, [-1, 1])), turned.shape);
  return core.transpose(
    product,
    order.map((_, i) => order.indexOf(i)),
  );
}

function axisOf(axis: number, x: core.Tensor): number {
  return core.util.parseAxisParam(axis, x.shape)[0] as number;
}

installGradients();
