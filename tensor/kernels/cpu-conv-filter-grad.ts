/**
 * Kernel `Conv2DBackpropFilter` for the cpu engine, whose own computes an index for every multiplication and is a hundred
 * times slower. It knows nothing of the wasm engine.
 */
import type { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';
import type { Conv2DBackpropFilterAttrs, TensorInfo } from '@tensorflow/tfjs-core';
import { type ConvAttrs, convInfo, forEachWindow } from './conv-info.ts';

/** What a kernel of the cpu engine is given. */
export interface CpuCall<Names extends string, Attrs> {
  readonly inputs: Readonly<Record<Names, TensorInfo>>;
  readonly attrs: Attrs;
  readonly backend: MathBackendCPU;
}

/** Kernel `Conv2DBackpropFilter` for NHWC images. */
export function cpuConvFilterGrad(
  call: CpuCall<'x' | 'dy', Conv2DBackpropFilterAttrs>,
): TensorInfo {
  const { inputs, attrs, backend } = call;
  const info = convInfo(inputs.x.shape, attrs.filterShape, attrs as ConvAttrs);
  const x = backend.readSync(inputs.x.dataId) as Float32Array;
  const dy = backend.readSync(inputs.dy.dataId) as Float32Array;
  const { filterHeight, filterWidth, inChannels, outChannels } = info;
  // Sums over a whole batch: kept in double precision.
  const sums = new Float64Array(filterHeight * filterWidth * inChannels * outChannels);
  forEachWindow(info, (atX, atDy, position) => {
    let to = position * inChannels * outChannels;
    for (let i = atX; i < atX + inChannels; i++) {
      const value = x[i] as number;
      for (let d = atDy; d < atDy + outChannels; d++) {
        (sums[to++] as number) += value * (dy[d] as number);
      }
    }
  });
  return backend.makeTensorInfo(attrs.filterShape, 'float32', Float32Array.from(sums));
}
