/** Gives every worker its share of distributed autograd. */
import { addPlugin, type WorkerCore } from '../rpc/internal.ts';
import { Contexts } from './contexts.ts';
import { DistEngine } from './dist-engine.ts';
import { AutogradInterceptor } from './interceptor.ts';
import { serveBackward } from './rref-backward.ts';

export interface AutogradShare {
  readonly contexts: Contexts;
  readonly engine: DistEngine;
}

const shares = new WeakMap<WorkerCore, AutogradShare>();

export function shareOf(worker: WorkerCore): AutogradShare | undefined {
  return shares.get(worker);
}

addPlugin((worker) => {
  const contexts = new Contexts(worker);
  const engine = new DistEngine(worker, contexts);
  shares.set(worker, { contexts, engine });
  serveBackward(worker, contexts, engine);
  return {
    interceptor: new AutogradInterceptor(contexts),
    peerGone: (rank) => {
      engine.peerGone(rank);
      contexts.peerGone(rank);
    },
    debugInfo: () => ({
      'autograd.numContexts': contexts.size,
      'autograd.numCurrentBackwardPasses': contexts.passCount,
    }),
    close: () => contexts.close(),
  };
});
