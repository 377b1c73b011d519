/** Distributed autograd. PyTorch: `torch.distributed.autograd`. Loading it makes workers record. */
export { backward, context, getGradients, run } from './api.ts';
export type { ContextId } from './context-id.ts';
export type { BackwardOptions } from './dist-engine.ts';
export { noGrad } from './graph.ts';
