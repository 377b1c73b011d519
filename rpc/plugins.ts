/** Layers above rpc that every worker gets when they are loaded: each makes its share of a worker. */
import type { Interceptor } from './interceptor.ts';
import type { WorkerCore } from './worker-core.ts';

export interface WorkerShare {
  readonly interceptor: Interceptor;
  /** A peer is gone. */
  peerGone(rank: number, isFarewell: boolean): void;
  /** Counters for `Worker.getDebugInfo`, under names that begin with the layer's; cheap to read. */
  debugInfo?(): Readonly<Record<string, number>>;
  /** The worker shuts down: free everything. */
  close(): void;
}

export type Plugin = (worker: WorkerCore) => WorkerShare;

const plugins: Plugin[] = [];

/** Adds a layer to all workers made from now on. Called once, when the layer's module is loaded. */
export function addPlugin(plugin: Plugin): void {
  plugins.push(plugin);
}

/** The shares of a new worker, in the order in which the layers were added. */
export function sharesOf(worker: WorkerCore): readonly WorkerShare[] {
  return plugins.map((plugin) => plugin(worker));
}
