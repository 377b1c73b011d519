/// <reference lib="esnext.disposable" preserve="true" />
export { Adadelta, type AdadeltaOptions } from './adadelta.ts';
export { Adagrad, type AdagradOptions } from './adagrad.ts';
export { Adam } from './adam.ts';
export type { AdamOptions } from './adam-moments.ts';
export { Adamax, type AdamaxOptions } from './adamax.ts';
export { AdamW } from './adamw.ts';
export {
  type ClipNormOptions,
  type ClippedGradients,
  clipGradNorm,
  clipGradValue,
} from './clip.ts';
export { ChainedScheduler, type CombinedState, SequentialLR } from './combined-schedules.ts';
export {
  DistributedOptimizer,
  type DistributedOptimizerOptions,
} from './distributed-optimizer.ts';
export {
  LRScheduler,
  type Moment,
  type Schedule,
  type Scheduled,
  type ScheduledGroup,
  type SchedulerState,
} from './lr-scheduler.ts';
export { OneCycleLR, type OneCycleOptions } from './one-cycle.ts';
export {
  flagOption,
  numberOption,
  type OptionKind,
  type OptionTable,
  type OptionValue,
  pairOption,
} from './options.ts';
export type { ParametersOrGroups, ParamGroup, ParamGroupOptions } from './param-groups.ts';
export type { ParameterOwner } from './parameter-owner.ts';
export { type PlateauOptions, type PlateauState, ReduceLROnPlateau } from './reduce-on-plateau.ts';
export { RMSprop, type RMSpropOptions } from './rmsprop.ts';
export { Rprop, type RpropOptions } from './rprop.ts';
export {
  type Gradients,
  type Optimizer,
  type OptimizerClass,
  optimizerName,
  optimizerNamed,
  type ParameterStateDict,
  type ParamGroupDict,
  type PreparedStep,
  registerOptimizer,
  type StateDict,
  type TensorState,
} from './rule.ts';
export { RuleOptimizer } from './rule-optimizer.ts';
export { loadOptimizer, saveOptimizer } from './saving.ts';
export {
  ConstantLR,
  CosineAnnealingLR,
  ExponentialLR,
  LinearLR,
  MultiStepLR,
  StepLR,
} from './schedules.ts';
export { SGD, type SGDOptions } from './sgd.ts';
export type { After, Before, SparseWay, Update, UpdateRule } from './update-rule.ts';
