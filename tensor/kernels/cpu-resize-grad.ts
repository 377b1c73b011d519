/**
 * Kernels `ResizeBilinearGrad` and `ResizeNearestNeighborGrad` for the cpu engine: each pixel of the output gives its
 * gradient back to the pixels that it was made of. The package confuses height and width, and knows no half pixels.
 */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { CpuCall } from './cpu-conv-filter-grad.ts';

interface ResizeAttrs {
  readonly alignCorners: boolean;
  readonly halfPixelCenters: boolean;
}

/** What one position of the output was made of, along one axis: position and share. */
type Source = readonly (readonly [at: number, share: number])[];
type Sampling = (position: number, size: number, attrs: ResizeAttrs) => Source;
type ResizeCall = CpuCall<'dy' | 'images', ResizeAttrs>;

/** Kernel `ResizeBilinearGrad`. */
export function cpuResizeBilinearGrad(call: ResizeCall): TensorInfo {
  return scatter(call, (position, size, { halfPixelCenters }) => {
    const at = halfPixelCenters ? position - 0.5 : position;
    const low = Math.max(0, Math.floor(at));
    const share = at - low;
    return [
      [low, 1 - share],
      [Math.min(size - 1, Math.ceil(at)), share],
    ];
  });
}

/** Kernel `ResizeNearestNeighborGrad`. */
export function cpuResizeNearestGrad(call: ResizeCall): TensorInfo {
  return scatter(call, (position, size, { alignCorners }) => {
    const at = alignCorners ? Math.round(position) : Math.floor(position);
    return [[Math.min(size - 1, at), 1]];
  });
}

function scatter({ inputs, attrs, backend }: ResizeCall, sampling: Sampling): TensorInfo {
  const [batch = 0, height = 0, width = 0, channels = 0] = inputs.images.shape;
  const [, newHeight = 0, newWidth = 0] = inputs.dy.shape;
  const rows = sourcesOf(newHeight, height, { attrs, sampling });
  const columns = sourcesOf(newWidth, width, { attrs, sampling });
  const dy = backend.readSync(inputs.dy.dataId) as Float32Array;
  const dx = new Float32Array(batch * height * width * channels);
  let from = 0;
  for (let image = 0; image < batch; image++) {
    for (const row of rows) {
      for (const column of columns) {
        for (const [y, byRow] of row) {
          for (const [x, byColumn] of column) {
            const to = ((image * height + y) * width + x) * channels;
            const share = byRow * byColumn;
            for (let c = 0; c < channels; c++) {
              (dx[to + c] as number) += share * (dy[from + c] as number);
            }
          }
        }
        from += channels;
      }
    }
  }
  return backend.makeTensorInfo(inputs.images.shape, 'float32', dx);
}

/** As the forward kernels find them. */
function sourcesOf(
  count: number,
  size: number,
  { attrs, sampling }: { attrs: ResizeAttrs; sampling: Sampling },
): Source[] {
  const between = attrs.alignCorners && count > 1 ? 1 : 0;
  const ratio = (size - between) / (count - between);
  const shift = attrs.halfPixelCenters ? 0.5 : 0;
  return Array.from({ length: count }, (_, i) => sampling(ratio * (i + shift), size, attrs));
}
