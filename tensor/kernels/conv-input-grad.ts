/**
 * Kernel `Conv2DBackpropInput` for the wasm engine, whose own is a scalar loop, nine times slower: the gradient of a
 * convolution by its input is a convolution of dy, with zeros between its pixels where the stride is larger than 1, with
 * the filter turned by 180 degrees and its channels exchanged.
 */
import type { Conv2DBackpropInputAttrs, TensorInfo } from '@tensorflow/tfjs-core';
import { type ConvAttrs, type ConvInfo, convInfo } from './conv-info.ts';
import { runPackageKernel, type WasmCall } from './package-kernels.ts';
import { transposeBlock } from './transpose.ts';
import { allocate, type BackendWasm, free, heapFloats, view, wordOffset } from './wasm-heap.ts';

/** Kernel `Conv2DBackpropInput`. */
export function convInputGrad(
  call: WasmCall<'dy' | 'filter', Conv2DBackpropInputAttrs>,
): TensorInfo {
  const { inputs, attrs, backend } = call;
  const { dy, filter } = inputs;
  const info = convInfo(attrs.inputShape, filter.shape, attrs as ConvAttrs);
  const { filterHeight, filterWidth, strideHeight, strideWidth, padInfo } = info;
  const top = filterHeight - 1 - padInfo.top;
  const left = filterWidth - 1 - padInfo.left;
  const bottom = info.inHeight - 1 - (info.outHeight - 1) * strideHeight + padInfo.top;
  const right = info.inWidth - 1 - (info.outWidth - 1) * strideWidth + padInfo.left;
  // With padding beyond the filter some of dy falls off the edge, which a convolution cannot say: rare.
  if (Math.min(top, left, bottom, right) < 0 || dy.shape.includes(0)) {
    return runPackageKernel(backend, 'Conv2DBackpropInput', inputs, { ...attrs });
  }
  const turned = turnedFilter(backend, filter);
  const spread = spreadPixels(backend, dy, info);
  const pad = [
    [0, 0],
    [top, bottom],
    [left, right],
    [0, 0],
  ];
  const out = runPackageKernel(
    backend,
    'Conv2D',
    { x: spread, filter: turned },
    { strides: 1, dilations: 1, pad, dataFormat: 'NHWC' },
  );
  free(backend, spread, turned);
  return { ...out, shape: [...attrs.inputShape] };
}

/** The filter turned by 180 degrees, [kh, kw, out, in]; new, because XNNPACK caches by the id of a filter. */
function turnedFilter(backend: BackendWasm, filter: TensorInfo): TensorInfo {
  const [height = 1, width = 1, rows = 1, columns = 1] = filter.shape;
  const out = allocate(backend, [height, width, columns, rows]);
  const heap = heapFloats(backend);
  const size = rows * columns;
  const count = height * width;
  let at = wordOffset(backend, filter);
  let to = wordOffset(backend, out) + (count - 1) * size;
  for (let i = 0; i < count; i++, at += size, to -= size) {
    transposeBlock(heap, { at, rows, columns }, to);
  }
  return out;
}

/** dy with `stride - 1` zeros between its pixels; the caller frees it. */
function spreadPixels(backend: BackendWasm, dy: TensorInfo, info: ConvInfo): TensorInfo {
  const { batchSize, outHeight, outWidth, outChannels, strideHeight, strideWidth } = info;
  if (strideHeight === 1 && strideWidth === 1) return view(backend, dy, dy.shape);
  const height = (outHeight - 1) * strideHeight + 1;
  const width = (outWidth - 1) * strideWidth + 1;
  const out = allocate(backend, [batchSize, height, width, outChannels]);
  const heap = heapFloats(backend);
  const to = wordOffset(backend, out);
  heap.fill(0, to, to + batchSize * height * width * outChannels);
  let source = wordOffset(backend, dy);
  for (let image = 0; image < batchSize; image++) {
    for (let y = 0; y < outHeight; y++) {
      let target = to + (image * height + y * strideHeight) * width * outChannels;
      for (let x = 0; x < outWidth; x++, target += strideWidth * outChannels) {
        heap.copyWithin(target, source, source + outChannels);
        source += outChannels;
      }
    }
  }
  return out;
}
