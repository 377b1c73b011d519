/**
 * The methods that tfjs-layers calls on tensors (`x.add(y)`) and that the Node bundle of tfjs-core leaves out: without
 * them an LSTM cannot even be built. Only what is missing is added, at run time alone: gradwire's own `tf` has no chained
 * methods in its types.
 */
import * as core from '@tensorflow/tfjs-core';

type Method = (this: core.Tensor, ...args: never[]) => unknown;
type Operation = (x: core.Tensor, ...args: never[]) => unknown;

/** Operations whose first argument is the tensor itself. */
const OPERATIONS =
  'abs acos acosh add all any argMax argMin asin asinh atan atan2 atanh avgPool batchNorm batchToSpaceND broadcastTo cast ceil clipByValue conv1d conv2d conv2dTranspose cos cosh cumprod cumsum depthToSpace depthwiseConv2d dilation2d div divNoNan dot elu equal erf euclideanNorm exp expandDims expm1 fft floor floorDiv gather greater greaterEqual ifft irfft isFinite isInf isNaN leakyRelu less lessEqual localResponseNormalization log log1p logSigmoid logSoftmax logSumExp logicalAnd logicalNot logicalOr logicalXor matMul max maxPool maximum mean min minimum mirrorPad mod mul neg norm notEqual oneHot onesLike pad pool pow prelu prod reciprocal relu relu6 reshape resizeBilinear resizeNearestNeighbor reverse rfft round rsqrt selu separableConv2d sigmoid sign sin sinh slice softmax softplus spaceToBatchND split sqrt square squaredDifference squeeze step stridedSlice sub sum tan tanh tile topk transpose unique unsortedSegmentSum unstack zerosLike'.split(
    ' ',
  );

const METHODS: Readonly<Record<string, Method>> = {
  flatten() {
    return core.reshape(this, [this.size]);
  },
  asScalar() {
    return core.reshape(this, []);
  },
  as1D() {
    return core.reshape(this, [this.size]);
  },
  as2D: reshapeToArguments,
  as3D: reshapeToArguments,
  as4D: reshapeToArguments,
  as5D: reshapeToArguments,
  asType(dtype: core.DataType) {
    return core.cast(this, dtype);
  },
  toFloat() {
    return core.cast(this, 'float32');
  },
  toInt() {
    return core.cast(this, 'int32');
  },
  toBool() {
    return core.cast(this, 'bool');
  },
  reshapeAs(like: core.Tensor) {
    return core.reshape(this, like.shape);
  },
  concat(others: core.Tensor | core.Tensor[], axis?: number) {
    return core.concat([this, others].flat(), axis);
  },
  stack(others: core.Tensor | core.Tensor[], axis?: number) {
    return core.stack([this, others].flat(), axis);
  },
  where(condition: core.Tensor, otherwise: core.Tensor) {
    return core.where(condition, this, otherwise);
  },
};

function reshapeToArguments(this: core.Tensor, ...shape: number[]): core.Tensor {
  return core.reshape(this, shape);
}

function addMissing(name: string, method: Method): void {
  if (name in core.Tensor.prototype) return;
  Object.defineProperty(core.Tensor.prototype, name, {
    value: method,
    configurable: true,
    writable: true,
  });
}

const operations = { ...core, ...core.image } as unknown as Readonly<Record<string, Operation>>;
for (const name of OPERATIONS) {
  const operation = operations[name];
  if (operation === undefined) continue;
  addMissing(name, function (...args) {
    return operation(this, ...args);
  });
}
for (const [name, method] of Object.entries(METHODS)) addMissing(name, method);
