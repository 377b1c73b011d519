/// <reference lib="esnext.disposable" preserve="true" />
/** Distributed autograd. PyTorch: `torch.distributed.autograd`. Loading it makes workers record. */
export {
  backward,
  type ContextOptions,
  context,
  type GradientsOptions,
  getGradients,
  needsGrad,
  requiresGrad,
  run,
} from './api.ts';
export type { BackwardOptions } from './backward-arguments.ts';
export type { ContextId } from './context-id.ts';
export { noGrad } from './graph.ts';
export {
  type Gradient,
  type GradientHook,
  type HookHandle,
  type PostAccumulateHook,
  registerHook,
  registerPostAccumulateHook,
  sparseGradient,
} from './leaves.ts';
export { RemoteModule } from './remote-module.ts';
export type { Module } from './remote-module-calls.ts';
export { LayersModule } from './remote-module-layers.ts';
