/// <reference lib="esnext.disposable" preserve="true" />
export { DistributedOptimizer } from './distributed-optimizer.ts';
export {
  type Optimizer,
  type OptimizerClass,
  type OptionValue,
  optimizerName,
  optimizerNamed,
  registerOptimizer,
  type StateDict,
  type TensorState,
} from './rule.ts';
export { SGD, type SGDOptions } from './sgd.ts';
