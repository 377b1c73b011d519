/** A worker's connection to itself: calls to oneself travel like all others, so that they behave alike. */
import type { Endpoint } from './endpoint.ts';
import { connectionPair } from './transport-memory.ts';

export function attachLoopback(endpoint: Endpoint, rank: number): void {
  const peer = { rank, incarnation: '' };
  const [mine, theirs] = connectionPair(peer, peer);
  // The far end only listens.
  endpoint.attach(rank, theirs);
  endpoint.attach(rank, mine);
}
