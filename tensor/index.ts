export { AsyncSlot, outside } from './async-slot.ts';
export { type EngineName, startEngine } from './backend.ts';
export {
  checkHeader,
  makeTensor,
  readTensor,
  type TensorBytes,
  type TensorHeader,
} from './codec.ts';
export { DTYPES, type DType, type DTypeInfo, dtypeOfWireId, isDType } from './dtype.ts';
export { REPAIRS, type Repair } from './kernels.ts';
export * as tf from './tf.ts';
