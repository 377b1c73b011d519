import type { Endpoint } from './endpoint.ts';
import type { PeerLimits } from './peer-limits.ts';
import type { References } from './references.ts';
import type { WorkerInfo } from './worker-info.ts';

/** What a layer above rpc may use of a worker. */
export interface WorkerCore {
  readonly info: WorkerInfo;
  readonly endpoint: Endpoint;
  readonly references: References;
  /** Default time limit of calls in ms. */
  readonly timeoutMs: number;
  /** Where the counts in this worker's ids begin: those of another that had its rank before must not come again. */
  readonly firstId: number;
  readonly limits: PeerLimits;
  nameOf(rank: number): string;
}
