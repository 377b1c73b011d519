/// <reference lib="esnext.disposable" preserve="true" />
/** gradwire: distributed autograd, RPC and parameter servers for TypeScript. The only place that sees all layers. */

export * as autograd from './autograd/index.ts';
export {
  ERROR_CODES,
  ERROR_STAGES,
  type ErrorCode,
  type ErrorDetails,
  type ErrorStage,
  GradwireError,
  isGradwireError,
} from './errors.ts';
export * as optim from './optim/index.ts';
export * as rpc from './rpc/index.ts';
export {
  type EngineName,
  getNumThreads,
  type LoadedTensors,
  loadTensors,
  type SaveOptions,
  SparseSlices,
  saveTensors,
  tf,
} from './tensor/index.ts';
