/** Counters of one worker, for people and tests that ask what it is doing. */
import type { AsyncCalls } from './async-execution.ts';
import type { Endpoint } from './endpoint.ts';
import type { WorkerShare } from './plugins.ts';
import type { References } from './references.ts';

/** See `Worker.getDebugInfo`. */
export type DebugInfo = Readonly<Record<string, number>>;

/** What is counted of a worker by rpc itself. */
export interface Counted {
  readonly endpoint: Endpoint;
  readonly references: References;
  readonly asyncCalls: AsyncCalls;
  /** Whether messages leave this host in clear. */
  readonly isInClear: boolean;
}

/** The maps of the agent, of the references and of each layer above, in one: their names begin with the layer. */
export function debugInfo(worker: Counted, shares: readonly WorkerShare[]): DebugInfo {
  const maps = [agentInfo(worker), rrefInfo(worker)];
  for (const share of shares) if (share.debugInfo !== undefined) maps.push(share.debugInfo());
  return Object.assign({}, ...maps) as DebugInfo;
}

export function agentInfo({ endpoint, asyncCalls, isInClear }: Counted): DebugInfo {
  return {
    'agent.clientActiveCalls': endpoint.waitingCount,
    'agent.serverActiveCalls': endpoint.runningCount,
    'agent.serverActiveAsyncCalls': asyncCalls.running,
    'agent.insecure': Number(isInClear),
  };
}

export function rrefInfo({ references }: Counted): DebugInfo {
  const counts = Object.entries(references.debugInfo());
  return Object.fromEntries(counts.map(([name, count]) => [`rref.${name}`, count]));
}
