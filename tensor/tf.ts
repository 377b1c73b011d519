/**
 * The `tf` of gradwire: tfjs-core and the model-building part of tfjs-layers on one engine. Chained methods
 * (`x.add(y)`) are not part of it. Loading it loads the engines, with their repairs.
 */
import './backend.ts';
import './chained.ts';
import './gradients.ts';
import './layer-repairs.ts';

export * from '@tensorflow/tfjs-core';
export {
  constraints,
  initializers,
  input,
  LayersModel,
  layers,
  metrics,
  model,
  models,
  regularizers,
  Sequential,
  SymbolicTensor,
  sequential,
} from '@tensorflow/tfjs-layers';
