/** What every way of joining a group has in common. */
import type { ResolvedOptions } from './options.ts';
import type { Connection, Rendezvous, Transport, TransportNode } from './transport.ts';

/** A worker on its way into a group. */
export interface Joining {
  readonly options: ResolvedOptions;
  readonly carrier: Transport;
  readonly incarnation: string;
  /** Until when it may take, by `performance.now()`. */
  readonly deadline: number;
}

/** @param group the book of the group, on rank 0 */
export function startNode(
  { options, carrier, incarnation }: Joining,
  group: Rendezvous | undefined,
  accept: (connection: Connection) => void,
): Promise<TransportNode> {
  const { host, token, tls } = options;
  return carrier.start({ ...options, incarnation, host, token, tls, group, accept });
}
