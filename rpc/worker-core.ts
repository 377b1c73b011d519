import type { Endpoint } from './endpoint.ts';
import type { WorkerInfo } from './worker-info.ts';

/** What a layer above rpc may use of a worker. */
export interface WorkerCore {
  readonly info: WorkerInfo;
  readonly endpoint: Endpoint;
  /** Default time limit of calls in ms. */
  readonly timeoutMs: number;
  nameOf(rank: number): string;
}
