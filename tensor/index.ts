export { AsyncSlot, captured, outside } from './async-slot.ts';
export { type EngineName, getNumThreads, startEngine } from './backend.ts';
export { claim, unclaim } from './claims.ts';
export {
  checkHeader,
  makeTensor,
  readTensor,
  type TensorBytes,
  type TensorHeader,
} from './codec.ts';
export { collectTensors, lookInto } from './collect.ts';
export { DTYPES, type DType, type DTypeInfo, dtypeOfWireId, isDType } from './dtype.ts';
export {
  activeScopeId,
  enterFrame,
  type Frame,
  frameSlot,
  installEngineState,
  isInsideKernel,
  type Recorder,
  type ScopeState,
  type TapeNode,
} from './engine-state.ts';
export { REPAIRS, type Repair } from './kernels.ts';
export { type Rows, rowsOf } from './rows-form.ts';
export { type LoadedTensors, loadTensors, type SaveOptions, saveTensors } from './saving.ts';
export {
  freeStored,
  holdTensors,
  keepStored,
  ownVariables,
  TensorScope,
  watchVariables,
} from './scope.ts';
export { SparseSlices } from './sparse-slices.ts';
export * as tf from './tf.ts';
