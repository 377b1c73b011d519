/**
 * Kernel `Conv2DBackpropFilter` for the wasm engine, which has none: the gradient of a convolution by its filter is the
 * product of the windows of x with dy. The windows of a few images at a time are written out (as many as the cache
 * holds), row by row of the result, and XNNPACK multiplies.
 *
 * x is first split into planes, one per channel and per phase of the stride, with the padding in them: in a plane every
 * window offset is a plain shift, whatever stride and padding are. With many channels whole planes are copied, and what
 * lies between the windows meets zeros: an Inf or NaN in x then makes NaN of more of the gradient than it had to.
 */
import type { Conv2DBackpropFilterAttrs, TensorInfo } from '@tensorflow/tfjs-core';
import { type ConvAttrs, type ConvInfo, convInfo } from './conv-info.ts';
import { product } from './matmul.ts';
import type { WasmCall } from './package-kernels.ts';
import {
  allocate,
  type BackendWasm,
  closeWindow,
  floats,
  free,
  heapFloats,
  openWindow,
  sizeOf,
  wordOffset,
} from './wasm-heap.ts';

/** Floats of window rows that are multiplied at once; found by measurement. */
const WIDE_FLOATS = 400_000;
const EXACT_FLOATS = 1_000_000;

/** Columns of one product: each element is a float32 sum over them, so more cost precision. */
const MAX_COLUMNS = 2048;

/** From this many channels on, copying whole shifted planes beats copying the rows of each window. */
const WIDE_CHANNELS = 8;

interface Planes {
  readonly width: number;
  /** Floats of one plane. */
  readonly size: number;
  readonly count: number;
  /** For each column of x: where it goes, from the beginning of its row in channel 0. -1: no window has it. */
  readonly columns: Int32Array;
}

/** Everything that one call needs to know; offsets are in floats from the beginning of the heap. */
interface Job {
  readonly info: ConvInfo;
  readonly planes: Planes;
  /** Rows of the product: kernel height x kernel width x channels. */
  readonly rows: number;
  /** Columns of one image in the product. */
  readonly columns: number;
  readonly isWide: boolean;
  /** Images per product. */
  readonly group: number;
}

/** Kernel `Conv2DBackpropFilter`. */
export function convFilterGrad(call: WasmCall<'x' | 'dy', Conv2DBackpropFilterAttrs>): TensorInfo {
  const { inputs, attrs, backend } = call;
  const { x, dy } = inputs;
  const job = plan(convInfo(x.shape, attrs.filterShape, attrs as ConvAttrs));
  const { info, planes, rows, columns, group } = job;
  const { batchSize, outChannels } = info;
  const out = allocate(backend, attrs.filterShape);
  floats(backend, out).fill(0);
  if (batchSize * columns * sizeOf(attrs.filterShape) === 0) return out;
  const split = allocate(backend, [planes.count, planes.size]);
  floats(backend, split).fill(0);
  const windows = allocate(backend, [rows, group * columns]);
  for (let first = 0; first < batchSize; first += group) {
    const images = Math.min(group, batchSize - first);
    const left: TensorInfo = { ...windows, shape: [rows, images * columns] };
    const right = job.isWide
      ? spreadGradient(backend, dy, job, [first, images])
      : openWindow(backend, dy, first * columns * outChannels, [images * columns, outChannels]);
    writeWindows(backend, { x, split, windows }, job, [first, images]);
    const part = product(backend, left, right);
    const sum = floats(backend, out);
    const added = floats(backend, part);
    for (let i = 0; i < sum.length; i++) (sum[i] as number) += added[i] as number;
    free(backend, part);
    if (job.isWide) free(backend, right);
    else closeWindow(backend, right);
  }
  free(backend, split, windows);
  return out;
}

function plan(info: ConvInfo): Job {
  const { inChannels, outHeight, outWidth, filterHeight, filterWidth, batchSize } = info;
  const { strideHeight, strideWidth, padInfo, inWidth } = info;
  const height = outHeight - 1 + Math.ceil(filterHeight / strideHeight);
  const width = outWidth - 1 + Math.ceil(filterWidth / strideWidth);
  const size = height * width;
  const columnsOfX = new Int32Array(inWidth).map((_, column) => {
    const padded = column + padInfo.left;
    const shift = Math.floor(padded / strideWidth);
    return shift < width ? (padded % strideWidth) * inChannels * size + shift : -1;
  });
  const count = strideHeight * strideWidth * inChannels;
  const planes = { width, size, count, columns: columnsOfX };
  const rows = filterHeight * filterWidth * inChannels;
  const isWide = inChannels >= WIDE_CHANNELS;
  // Wide windows keep the columns between the rows of an image, which meet zeros in dy.
  const columns = isWide ? (outHeight - 1) * width + outWidth : outHeight * outWidth;
  const fitting = Math.floor((isWide ? WIDE_FLOATS : EXACT_FLOATS) / Math.max(1, rows * columns));
  const precise = Math.floor(MAX_COLUMNS / Math.max(1, columns));
  const group = Math.max(1, Math.min(batchSize, fitting, precise));
  return { info, planes, rows, columns, isWide, group };
}

/** dy of some images with zeros where wide windows have columns between their rows; new, as a right-hand side must be. */
function spreadGradient(
  backend: BackendWasm,
  dy: TensorInfo,
  { info, planes, columns }: Job,
  [first, images]: readonly [number, number],
): TensorInfo {
  const { outHeight, outWidth, outChannels } = info;
  const out = allocate(backend, [images * columns, outChannels]);
  const heap = heapFloats(backend);
  const to = wordOffset(backend, out);
  const row = outWidth * outChannels;
  const step = planes.width * outChannels;
  let source = wordOffset(backend, dy) + first * outHeight * row;
  for (let image = 0; image < images; image++) {
    const begin = to + image * columns * outChannels;
    const end = begin + columns * outChannels;
    for (let target = begin; target < end; target += step) {
      heap.copyWithin(target, source, source + row);
      if (target + row < end) heap.fill(0, target + row, target + step);
      source += row;
    }
  }
  return out;
}

function writeWindows(
  backend: BackendWasm,
  tensors: { readonly x: TensorInfo; readonly split: TensorInfo; readonly windows: TensorInfo },
  job: Job,
  [first, images]: readonly [number, number],
): void {
  const { info, rows, columns } = job;
  const heap = heapFloats(backend);
  const split = wordOffset(backend, tensors.split);
  const windows = wordOffset(backend, tensors.windows);
  const imageSize = info.inHeight * info.inWidth * info.inChannels;
  const x = wordOffset(backend, tensors.x);
  // The rows of the last, smaller group are as long as its images: `left` in the kernel has that shape.
  const stride = images * columns;
  const starts = windowStarts(job);
  for (let image = 0; image < images; image++) {
    splitImage(heap, x + (first + image) * imageSize, split, job);
    let target = windows + image * columns;
    for (let row = 0; row < rows; row++, target += stride) {
      const source = split + (starts[row] as number);
      if (job.isWide) heap.copyWithin(target, source, source + columns);
      else copyRows(heap, source, target, job);
    }
  }
}

/** For each row of the product, where its first window column lies in the planes. */
function windowStarts({ info, planes, rows }: Job): Int32Array {
  const { filterHeight, filterWidth, inChannels, strideHeight, strideWidth } = info;
  const starts = new Int32Array(rows);
  let row = 0;
  for (let i = 0; i < filterHeight; i++) {
    for (let j = 0; j < filterWidth; j++) {
      const phase = (i % strideHeight) * strideWidth + (j % strideWidth);
      const shift = Math.floor(i / strideHeight) * planes.width + Math.floor(j / strideWidth);
      for (let channel = 0; channel < inChannels; channel++) {
        starts[row++] = (phase * inChannels + channel) * planes.size + shift;
      }
    }
  }
  return starts;
}

function splitImage(heap: Float32Array, image: number, split: number, job: Job): void {
  const { inHeight, inWidth, inChannels, strideHeight, strideWidth, padInfo } = job.info;
  const { width, size, columns } = job.planes;
  const height = size / width;
  for (let y = 0; y < inHeight; y++) {
    const padded = y + padInfo.top;
    const shift = Math.floor(padded / strideHeight);
    if (shift >= height) break;
    const phase = (padded % strideHeight) * strideWidth * inChannels;
    const target = split + phase * size + shift * width;
    const source = image + y * inWidth * inChannels;
    for (let channel = 0; channel < inChannels; channel++) {
      const plane = target + channel * size;
      let from = source + channel;
      for (let column = 0; column < inWidth; column++, from += inChannels) {
        const to = columns[column] as number;
        if (to >= 0) heap[plane + to] = heap[from] as number;
      }
    }
  }
}

function copyRows(heap: Float32Array, source: number, target: number, job: Job): void {
  const { outHeight, outWidth } = job.info;
  const { width } = job.planes;
  let to = target;
  for (let y = 0; y < outHeight; y++) {
    let from = source + y * width;
    for (const end = to + outWidth; to < end; to++) heap[to] = heap[from++] as number;
  }
}
