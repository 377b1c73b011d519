/**
 * Kernels of the gradients of pooling for the cpu engine, for images and volumes. The package divides by the size of the
 * whole window, though the average of a window at the border is that of its part inside; and it confuses height and width
 * when it looks for the maxima of a volume.
 */
import { backend_util, type TensorInfo } from '@tensorflow/tfjs-core';
import type { CpuCall } from './cpu-conv-filter-grad.ts';

interface PoolAttrs {
  readonly filterSize: [number, number, number] | number;
  readonly strides: [number, number, number] | number;
  readonly pad: 'valid' | 'same' | number;
  readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

/** The part of a window that lies inside, along one axis: from, to. */
type Span = readonly [number, number];

/** Windows of a volume [batch, depth, height, width, channels]. */
interface Pooling {
  readonly batch: number;
  readonly sizes: readonly [number, number, number];
  readonly channels: number;
  /** By axis and position of the output. */
  readonly spans: readonly [readonly Span[], readonly Span[], readonly Span[]];
}

type PoolCall = CpuCall<'dy' | 'input', PoolAttrs>;

/** Kernels `AvgPoolGrad` and `AvgPool3DGrad`. */
export function cpuAvgPoolGrad(call: PoolCall): TensorInfo {
  const { inputs, backend } = call;
  const pooling = poolingOf(call);
  const { channels } = pooling;
  const dy = backend.readSync(inputs.dy.dataId) as Float32Array;
  const dx = new Float32Array(inputs.input.shape.reduce((a, b) => a * b, 1));
  forEachWindow(pooling, (from, elements) => {
    for (const at of elements) {
      for (let c = 0; c < channels; c++) {
        (dx[at + c] as number) += (dy[from + c] as number) / elements.length;
      }
    }
  });
  return backend.makeTensorInfo(inputs.input.shape, 'float32', dx);
}

/** Kernel `MaxPool3DGrad`. Among equal elements the first gets the gradient, as in PyTorch. */
export function cpuMaxPool3DGrad(call: PoolCall): TensorInfo {
  const { inputs, backend } = call;
  const pooling = poolingOf(call);
  const x = backend.readSync(inputs.input.dataId) as Float32Array;
  const dy = backend.readSync(inputs.dy.dataId) as Float32Array;
  const dx = new Float32Array(x.length);
  forEachWindow(pooling, (from, elements) => {
    for (let c = 0; c < pooling.channels; c++) {
      let most = -1;
      for (const at of elements) {
        const value = x[at + c] as number;
        if (most < 0 || value > (x[most] as number) || Number.isNaN(value)) most = at + c;
      }
      if (most >= 0) (dx[most] as number) += dy[from + c] as number;
    }
  });
  return backend.makeTensorInfo(inputs.input.shape, 'float32', dx);
}

/** `work` gets where the output of a window begins, and where its elements do: one number for all channels. */
function forEachWindow(
  { batch, sizes, channels, spans }: Pooling,
  work: (from: number, elements: readonly number[]) => void,
): void {
  const [depth, height, width] = sizes;
  let from = 0;
  for (let image = 0; image < batch; image++) {
    for (const [z0, z1] of spans[0]) {
      for (const [y0, y1] of spans[1]) {
        for (const [x0, x1] of spans[2]) {
          const elements: number[] = [];
          for (let z = z0; z < z1; z++) {
            for (let y = y0; y < y1; y++) {
              const row = ((image * depth + z) * height + y) * width;
              for (let x = x0; x < x1; x++) elements.push((row + x) * channels);
            }
          }
          work(from, elements);
          from += channels;
        }
      }
    }
  }
}

function poolingOf({ inputs, attrs }: PoolCall): Pooling {
  const { shape } = inputs.input;
  const { filterSize, strides, pad, dimRoundingMode } = attrs;
  if (shape.length === 4) {
    const info = backend_util.computePool2DInfo(
      shape as [number, number, number, number],
      filterSize as number,
      strides as number,
      1,
      pad,
      dimRoundingMode,
    );
    const { padInfo } = info;
    return {
      batch: info.batchSize,
      sizes: [1, info.inHeight, info.inWidth],
      channels: info.inChannels,
      spans: [
        [[0, 1]],
        spansOf(inputs.dy.shape[1], info.strideHeight, [
          padInfo.top,
          info.filterHeight,
          info.inHeight,
        ]),
        spansOf(inputs.dy.shape[2], info.strideWidth, [
          padInfo.left,
          info.filterWidth,
          info.inWidth,
        ]),
      ],
    };
  }
  const info = backend_util.computePool3DInfo(
    shape as [number, number, number, number, number],
    filterSize,
    strides,
    1,
    pad,
    dimRoundingMode,
  );
  const { padInfo, inDepth, inHeight, inWidth } = info;
  const [, depth, height, width] = inputs.dy.shape;
  return {
    batch: info.batchSize,
    sizes: [inDepth, inHeight, inWidth],
    channels: info.inChannels,
    spans: [
      spansOf(depth, info.strideDepth, [padInfo.front, info.filterDepth, inDepth]),
      spansOf(height, info.strideHeight, [padInfo.top, info.filterHeight, inHeight]),
      spansOf(width, info.strideWidth, [padInfo.left, info.filterWidth, inWidth]),
    ],
  };
}

function spansOf(
  count = 0,
  stride: number,
  [pad, filter, size]: readonly [number, number, number],
): Span[] {
  return Array.from({ length: count }, (_, i) => {
    const start = i * stride - pad;
    return [Math.max(0, start), Math.min(size, start + filter)];
  });
}
