/** What every way of joining a group has in common. */
import { GradwireError } from '../errors.ts';
import { Liveness } from './liveness.ts';
import type { ResolvedOptions } from './options.ts';
import type { Connection, Member, Rendezvous, Transport, TransportNode } from './transport.ts';

/** A worker on its way into a group. */
export interface Joining {
  readonly options: ResolvedOptions;
  readonly carrier: Transport;
  readonly incarnation: string;
  /** Until when it may take, by `performance.now()`. */
  readonly deadline: number;
  /** Undefined: nobody is watched. */
  readonly liveness: Liveness | undefined;
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

/** Begins to listen for those that will watch this worker, if they can be told where. */
export function beginLiveness(
  options: ResolvedOptions,
  { carriesLiveness = false }: Transport,
  incarnation: string,
): Liveness | undefined {
  const { rank, masterAddr, deadAfterMs } = options;
  if (!carriesLiveness || deadAfterMs === Number.POSITIVE_INFINITY) return undefined;
  const host = options.host ?? (rank === 0 ? masterAddr : '127.0.0.1');
  return new Liveness({ ...options, host, incarnation });
}

/** Asks for the members of the group, and tells where this worker can be watched. */
export async function meetMaster(
  { options: { initTimeoutMs }, liveness }: Joining,
  node: TransportNode,
): Promise<readonly Member[]> {
  if (liveness === undefined) return node.join(initTimeoutMs);
  const members = await node.join(initTimeoutMs, await liveness.address);
  const { secret } = node;
  if (secret === undefined) throw noSecret();
  liveness.open(secret);
  return members;
}

function noSecret(): GradwireError {
  const message = 'the transport carries liveness, but its node has no secret after joining';
  return new GradwireError('protocol_error', message, { stage: 'init' });
}
