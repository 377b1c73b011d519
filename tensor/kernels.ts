/**
 * What is wrong with the kernels of the engines, and what stands in their place: one table, installed when the package is
 * loaded. Without it convolutions and embeddings cannot be trained on the engine wasm at all, and some results are wrong.
 */
import {
  getKernel,
  type KernelFunc,
  registerKernel,
  unregisterKernel,
} from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { batchNorm, cpuBatchNorm } from './kernels/batch-norm.ts';
import { cast } from './kernels/cast.ts';
import { complex, imag, real } from './kernels/complex.ts';
import { complexAware } from './kernels/complex-arithmetic.ts';
import { complexFallback } from './kernels/complex-fallback.ts';
import { convFilterGrad } from './kernels/conv-filter-grad.ts';
import { convInputGrad } from './kernels/conv-input-grad.ts';
import { cpuConvFilterGrad } from './kernels/cpu-conv-filter-grad.ts';
import { cpuFallback } from './kernels/cpu-fallback.ts';
import { cpuAvgPoolGrad, cpuMaxPool3DGrad } from './kernels/cpu-pool-grad.ts';
import { cpuResizeBilinearGrad, cpuResizeNearestGrad } from './kernels/cpu-resize-grad.ts';
import { depthwiseFilterGrad, depthwiseInputGrad } from './kernels/depthwise-grad.ts';
import { prelu, reduction } from './kernels/edge-cases.ts';
import { identity } from './kernels/identity.ts';
import { batchMatMul } from './kernels/matmul.ts';
import { maxPoolGrad } from './kernels/max-pool-grad.ts';
import { packageKernel } from './kernels/package-kernels.ts';
import { unsortedSegmentSum } from './kernels/segment-sum.ts';
import { sum } from './kernels/sum.ts';

/** One kernel that is replaced. */
export interface Repair {
  readonly kernel: string;
  readonly engine: 'wasm' | 'cpu';
  /** What the package's own kernel is. */
  readonly state: 'missing' | 'wrong' | 'slow';
  readonly reason: string;
  readonly run: KernelFunc;
}

type State = Repair['state'];

const BORDER = 'windows at the border count elements beyond it';
const RESIZE_GRADS = [
  ['ResizeBilinearGrad', cpuResizeBilinearGrad],
  ['ResizeNearestNeighborGrad', cpuResizeNearestGrad],
] as const;

/** Every kernel that is replaced, and why. */
export const REPAIRS: readonly Repair[] = [
  wasm('Conv2DBackpropFilter', 'missing', 'conv1d and conv2d have no gradient', convFilterGrad),
  wasm('Conv2DBackpropInput', 'slow', 'scalar loop: 9 times slower', convInputGrad),
  wasm(
    'BatchMatMul',
    'slow',
    'scalar loop for transposes and batches: 12 to 48 times slower',
    batchMatMul,
  ),
  wasm('Sum', 'slow', 'transposes the tensor for a sum over leading axes', sum),
  wasm('Identity', 'slow', 'copies the data, so saved tensors take memory twice', identity),
  wasm('Cast', 'wrong', '0.5 becomes false and -2 becomes 254 as bool', cast),
  wasm('MaxPoolGrad', 'wrong', 'no gradient for windows without a positive element', maxPoolGrad),
  wasm(
    'DepthwiseConv2dNativeBackpropFilter',
    'missing',
    'depthwiseConv2d has no gradient',
    depthwiseFilterGrad,
  ),
  wasm(
    'DepthwiseConv2dNativeBackpropInput',
    'missing',
    'depthwiseConv2d has no gradient',
    depthwiseInputGrad,
  ),
  wasm(
    'UnsortedSegmentSum',
    'missing',
    'gather and embeddings have no gradient',
    unsortedSegmentSum,
  ),
  wasm('Complex', 'missing', 'complex64 tensors cannot be made', complex),
  wasm('Real', 'missing', 'complex64 tensors cannot be taken apart', real),
  wasm('Imag', 'missing', 'complex64 tensors cannot be taken apart', imag),
  ...['FFT', 'IFFT', 'ComplexAbs'].map((kernel) =>
    wasm(kernel, 'missing', 'complex64 tensors have no transforms', complexFallback(kernel)),
  ),
  ...(['Add', 'Sub', 'Multiply', 'RealDiv'] as const).map((kernel) =>
    wasm(kernel, 'wrong', 'garbage for complex64 tensors', complexAware(kernel)),
  ),
  wasm('Einsum', 'missing', 'einsum does not run', cpuFallback('Einsum')),
  wasm(
    'Conv3DBackpropInputV2',
    'wrong',
    'sums of other elements, and of memory beyond them',
    cpuFallback('Conv3DBackpropInputV2'),
  ),
  wasm(
    'Conv3DBackpropFilterV2',
    'wrong',
    '0 and other sums where a stride is not 1',
    cpuFallback('Conv3DBackpropFilterV2'),
  ),
  wasm('AvgPoolGrad', 'wrong', BORDER, cpuFallback('AvgPoolGrad')),
  wasm('AvgPool3DGrad', 'wrong', BORDER, cpuFallback('AvgPool3DGrad')),
  cpu('AvgPoolGrad', 'wrong', BORDER, cpuAvgPoolGrad),
  cpu('AvgPool3DGrad', 'wrong', BORDER, cpuAvgPoolGrad),
  cpu('MaxPool3DGrad', 'wrong', 'gradient to the wrong place, or none', cpuMaxPool3DGrad),
  ...RESIZE_GRADS.flatMap(([kernel, run]) => [
    wasm(kernel, 'wrong', 'wrong or failing where images are not square', cpuFallback(kernel)),
    cpu(kernel, 'wrong', 'wrong or failing where images are not square', run),
  ]),
  wasm('FusedBatchNorm', 'wrong', 'other statistics along any axis but the last', batchNorm),
  cpu('FusedBatchNorm', 'wrong', 'other statistics along any axis but the last', cpuBatchNorm),
  wasm('Transform', 'wrong', 'other pixels than the coordinates say', cpuFallback('Transform')),
  wasm('Prelu', 'wrong', 'slopes are broadcast along leading axes only', prelu),
  ...['Max', 'Min', 'Mean', 'Prod'].map((kernel) =>
    wasm(kernel, 'wrong', 'results are not set where nothing is reduced', reduction(kernel)),
  ),
  wasm('MaxPool3D', 'wrong', '1e-38 instead of a negative maximum', cpuFallback('MaxPool3D')),
  wasm(
    'MaxPool3DGrad',
    'wrong',
    'no gradient for windows without a positive element',
    cpuFallback('MaxPool3DGrad'),
  ),
  wasm(
    'MaxPoolWithArgmax',
    'wrong',
    '1e-38 instead of a negative maximum',
    cpuFallback('MaxPoolWithArgmax'),
  ),
  wasm(
    'Dilation2DBackpropInput',
    'wrong',
    'gradient to the wrong place below 0',
    cpuFallback('Dilation2DBackpropInput'),
  ),
  wasm(
    'Dilation2DBackpropFilter',
    'wrong',
    'gradient to the wrong place below 0',
    cpuFallback('Dilation2DBackpropFilter'),
  ),
  wasm('Dilation2D', 'wrong', '0 instead of a negative maximum', cpuFallback('Dilation2D')),
  cpu(
    'Conv2DBackpropFilter',
    'slow',
    'an index computed per product: 100 times slower',
    cpuConvFilterGrad,
  ),
];

/** Puts every replacement in place; a second call changes nothing. */
export function installKernels(): void {
  for (const { kernel, engine, run } of REPAIRS) {
    const present = getKernel(kernel, engine);
    if (present?.kernelFunc === run) continue;
    if (present !== undefined) unregisterKernel(kernel, engine);
    // Other replacements call the package's kernel, so it is still set up and disposed of.
    const { setupFunc, disposeFunc } = (engine === 'wasm' && packageKernel(kernel)) || {};
    registerKernel({
      kernelName: kernel,
      backendName: engine,
      kernelFunc: run,
      ...(setupFunc && { setupFunc }),
      ...(disposeFunc && { disposeFunc }),
    });
  }
}

/** A kernel with narrower arguments than tfjs declares; which ones it gets is fixed by the name it is registered for. */
type Narrow = (call: never) => ReturnType<KernelFunc>;

function wasm(kernel: string, state: State, reason: string, run: Narrow): Repair {
  return { kernel, engine: 'wasm', state, reason, run: run as KernelFunc };
}

function cpu(kernel: string, state: State, reason: string, run: Narrow): Repair {
  return { kernel, engine: 'cpu', state, reason, run: run as KernelFunc };
}

installKernels();
