/**
 * The geometry of a 2-D convolution, as its gradients need it, and the walk over its windows. Images are NHWC: tfjs refuses
 * others on the engine wasm. It knows no engine.
 */
import { backend_util } from '@tensorflow/tfjs-core';

export type ConvInfo = backend_util.Conv2DInfo;

/** What the attributes of the convolution kernels have in common. */
export interface ConvAttrs {
  readonly strides: [number, number] | number;
  readonly dilations?: [number, number] | number;
  readonly pad: 'valid' | 'same' | number | backend_util.ExplicitPadding;
  readonly dataFormat?: 'NHWC' | 'NCHW';
  readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

type Shape4 = [number, number, number, number];

/** Sizes, strides and padding of the convolution of `xShape` with `filterShape`. */
export function convInfo(
  xShape: readonly number[],
  filterShape: readonly number[],
  attrs: ConvAttrs,
  depthwise = false,
): ConvInfo {
  return backend_util.computeConv2DInfo(
    [...xShape] as Shape4,
    [...filterShape] as Shape4,
    attrs.strides,
    attrs.dilations ?? 1,
    attrs.pad,
    attrs.dimRoundingMode,
    depthwise,
    backend_util.convertConv2DDataFormat(attrs.dataFormat ?? 'NHWC'),
  );
}

/**
 * Calls `visit` for each pixel of each window that lies inside the image: where the pixel begins in x, where the output of
 * the window begins in dy, and which position of the filter the pixel meets.
 */
export function forEachWindow(
  info: ConvInfo,
  visit: (atX: number, atDy: number, position: number) => void,
): void {
  const { batchSize, inHeight, inWidth, inChannels, outHeight, outWidth, outChannels } = info;
  const { filterHeight, filterWidth, strideHeight, strideWidth, padInfo } = info;
  const { dilationHeight, dilationWidth } = info;
  for (let image = 0; image < batchSize; image++) {
    for (let row = 0; row < outHeight; row++) {
      for (let i = 0; i < filterHeight; i++) {
        const y = row * strideHeight + i * dilationHeight - padInfo.top;
        if (y < 0 || y >= inHeight) continue;
        for (let column = 0; column < outWidth; column++) {
          const atDy = ((image * outHeight + row) * outWidth + column) * outChannels;
          for (let j = 0; j < filterWidth; j++) {
            const x = column * strideWidth + j * dilationWidth - padInfo.left;
            if (x < 0 || x >= inWidth) continue;
            const atX = ((image * inHeight + y) * inWidth + x) * inChannels;
            visit(atX, atDy, i * filterWidth + j);
          }
        }
      }
    }
  }
}
