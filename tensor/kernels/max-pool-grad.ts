/**
 * Kernel `MaxPoolGrad` for the wasm engine, whose own starts each maximum at the smallest positive number and so loses
 * the gradient of windows without a positive element. Among equal elements the first gets the gradient, as in PyTorch;
 * a NaN counts as the largest.
 */
import { backend_util, type MaxPoolGradAttrs, type TensorInfo } from '@tensorflow/tfjs-core';
import type { WasmCall } from './package-kernels.ts';
import { allocate, floats } from './wasm-heap.ts';

type PoolInfo = backend_util.Conv2DInfo;

/** Elements of the input, gradient of the output, gradient of the input. */
interface Arrays {
  readonly x: Float32Array;
  readonly dy: Float32Array;
  readonly dx: Float32Array;
}

/** Kernel `MaxPoolGrad`. */
export function maxPoolGrad(
  call: WasmCall<'dy' | 'input' | 'output', MaxPoolGradAttrs>,
): TensorInfo {
  const { inputs, attrs, backend } = call;
  const { filterSize, strides, pad, dimRoundingMode } = attrs;
  const info = backend_util.computePool2DInfo(
    inputs.input.shape as [number, number, number, number],
    filterSize,
    strides,
    1,
    pad as 'valid' | 'same' | number,
    dimRoundingMode,
  );
  const out = allocate(backend, inputs.input.shape);
  const x = floats(backend, inputs.input);
  const dy = floats(backend, inputs.dy);
  const dx = floats(backend, out);
  dx.fill(0);
  if (isTwoByTwo(info)) twoByTwo(info, { x, dy, dx });
  else anyWindow(info, { x, dy, dx });
  return out;
}

function isTwoByTwo({ padInfo, ...info }: PoolInfo): boolean {
  const { strideHeight, strideWidth, filterHeight, filterWidth, outHeight, outWidth } = info;
  return (
    [strideHeight, strideWidth, filterHeight, filterWidth].every((size) => size === 2) &&
    padInfo.top === 0 &&
    padInfo.left === 0 &&
    2 * outHeight <= info.inHeight &&
    2 * outWidth <= info.inWidth
  );
}

function twoByTwo(info: PoolInfo, { x, dy, dx }: Arrays): void {
  const { batchSize, inHeight, inWidth, outHeight, outWidth, inChannels: right } = info;
  const below = inWidth * right;
  let d = 0;
  for (let image = 0; image < batchSize; image++) {
    for (let row = 0; row < outHeight; row++) {
      for (let column = 0; column < outWidth; column++) {
        const first = (image * inHeight + 2 * row) * below + 2 * column * right;
        for (let i = first, end = first + right; i < end; i++, d++) {
          const upper = i + wins(x[i + right] as number, x[i] as number) * right;
          const left = i + below;
          const lower = left + wins(x[left + right] as number, x[left] as number) * right;
          const isLower = wins(x[lower] as number, x[upper] as number);
          dx[upper + isLower * (lower - upper)] = dy[d] as number;
        }
      }
    }
  }
}

/**
 * 1 if `value` takes the gradient from `most`, else 0. Computed rather than branched on, which makes the loop twice as
 * fast: which element is the largest cannot be predicted.
 */
function wins(value: number, most: number): number {
  return +(value > most) | +Number.isNaN(value);
}

function anyWindow(info: PoolInfo, { x, dy, dx }: Arrays): void {
  const { batchSize, inHeight, inWidth, inChannels, outHeight, outWidth, padInfo } = info;
  const most = new Float32Array(inChannels);
  const at = new Int32Array(inChannels);
  let d = 0;
  for (let image = 0; image < batchSize; image++) {
    for (let row = 0; row < outHeight; row++) {
      const [y0, y1] = clip(row * info.strideHeight - padInfo.top, info.filterHeight, inHeight);
      for (let column = 0; column < outWidth; column++) {
        const [x0, x1] = clip(column * info.strideWidth - padInfo.left, info.filterWidth, inWidth);
        at.fill(-1);
        for (let y = y0; y < y1; y++) {
          let p = ((image * inHeight + y) * inWidth + x0) * inChannels;
          for (const end = p + (x1 - x0) * inChannels; p < end; p += inChannels) {
            for (let channel = 0; channel < inChannels; channel++) {
              const value = x[p + channel] as number;
              const wins = value > (most[channel] as number) || Number.isNaN(value);
              if (at[channel] !== -1 && !wins) continue;
              most[channel] = value;
              at[channel] = p + channel;
            }
          }
        }
        for (let channel = 0; channel < inChannels; channel++, d++) {
          const p = at[channel] as number;
          if (p >= 0) (dx[p] as number) += dy[d] as number;
        }
      }
    }
  }
}

/** The part of a window that lies inside the image: from, to. */
function clip(start: number, length: number, limit: number): readonly [number, number] {
  return [Math.max(0, start), Math.min(limit, start + length)];
}
