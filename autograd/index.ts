/** Distributed autograd. PyTorch: `torch.distributed.autograd`. Loading it makes workers record. */
export { backward, context, getGradients, run } from './api.ts';
export type { ContextId } from './context-id.ts';
export type { BackwardOptions } from './dist-engine.ts';
export { noGrad } from './graph.ts';
export { RemoteModule } from './remote-module.ts';
export type { Module } from './remote-module-calls.ts';
export { LayersModule } from './remote-module-layers.ts';
