/**
 * Kernels `DepthwiseConv2dNativeBackpropFilter` and `...BackpropInput` for the wasm engine, which has neither: plain loops
 * over the heap, because there is no product of matrices in them.
 */
import type {
  DepthwiseConv2dNativeBackpropFilterAttrs,
  DepthwiseConv2dNativeBackpropInputAttrs,
  TensorInfo,
} from '@tensorflow/tfjs-core';
import { type ConvAttrs, convInfo, forEachWindow } from './conv-info.ts';
import type { WasmCall } from './package-kernels.ts';
import { allocate, floats } from './wasm-heap.ts';

/** Kernel `DepthwiseConv2dNativeBackpropFilter`. */
export function depthwiseFilterGrad(
  call: WasmCall<'x' | 'dy', DepthwiseConv2dNativeBackpropFilterAttrs>,
): TensorInfo {
  const { inputs, attrs, backend } = call;
  const info = convInfo(inputs.x.shape, attrs.filterShape, attrs as ConvAttrs, true);
  const out = allocate(backend, attrs.filterShape);
  const x = floats(backend, inputs.x);
  const dy = floats(backend, inputs.dy);
  const grad = floats(backend, out);
  const { inChannels, outChannels } = info;
  const each = outChannels / inChannels;
  // Sums over a whole batch: kept in double precision.
  const sums = new Float64Array(grad.length);
  forEachWindow(info, (atX, atDy, position) => {
    const atFilter = position * outChannels;
    if (each === 1) {
      for (let c = 0; c < inChannels; c++) {
        (sums[atFilter + c] as number) += (x[atX + c] as number) * (dy[atDy + c] as number);
      }
      return;
    }
    for (let c = 0, o = 0; c < inChannels; c++) {
      const value = x[atX + c] as number;
      for (const end = o + each; o < end; o++) {
        (sums[atFilter + o] as number) += value * (dy[atDy + o] as number);
      }
    }
  });
  grad.set(sums);
  return out;
}

/** Kernel `DepthwiseConv2dNativeBackpropInput`. */
export function depthwiseInputGrad(
  call: WasmCall<'dy' | 'filter', DepthwiseConv2dNativeBackpropInputAttrs>,
): TensorInfo {
  const { inputs, attrs, backend } = call;
  const info = convInfo(attrs.inputShape, inputs.filter.shape, attrs as ConvAttrs, true);
  const out = allocate(backend, attrs.inputShape);
  const filter = floats(backend, inputs.filter);
  const dy = floats(backend, inputs.dy);
  const grad = floats(backend, out);
  grad.fill(0);
  const { inChannels, outChannels } = info;
  const each = outChannels / inChannels;
  forEachWindow(info, (atX, atDy, position) => {
    const atFilter = position * outChannels;
    if (each === 1) {
      for (let c = 0; c < inChannels; c++) {
        (grad[atX + c] as number) += (filter[atFilter + c] as number) * (dy[atDy + c] as number);
      }
      return;
    }
    for (let c = 0, o = 0; c < inChannels; c++) {
      let sum = 0;
      for (const end = o + each; o < end; o++) {
        sum += (filter[atFilter + o] as number) * (dy[atDy + o] as number);
      }
      (grad[atX + c] as number) += sum;
    }
  });
  return out;
}
