/** Connects the references of a worker to its connections. */
import type { Endpoint } from './endpoint.ts';
import type { Liveness } from './liveness.ts';
import type { ResolvedOptions } from './options.ts';
import { beyond } from './peer-limits.ts';
import { firstNumber } from './reference-ids.ts';
import { writeNotices } from './reference-notices.ts';
import { References } from './references.ts';

export interface Linked {
  /** See `WorkerCore`; 0 in a static group. */
  readonly firstId: number;
  readonly endpoint: Endpoint;
  readonly liveness: Liveness | undefined;
  nameOf(rank: number): string;
}

/** The lease of those that give signs of life from a thread of their own, and of those that do not. */
const WATCHED_LEASE_MS = 10_000;
const UNWATCHED_LEASE_MS = 300_000;

/** The references of a worker whose endpoint may be made later. */
export function makeReferences(
  worker: Linked,
  options: Pick<ResolvedOptions, 'rank' | 'referenceLeaseMs' | 'maxPeerReferences'>,
): References {
  const { rank, referenceLeaseMs, maxPeerReferences: limit } = options;
  const usualMs = worker.liveness === undefined ? UNWATCHED_LEASE_MS : WATCHED_LEASE_MS;
  const leaseMs = referenceLeaseMs ?? usualMs;
  return new References({
    self: rank,
    leaseMs,
    leases: (peer) => {
      const { liveness } = worker;
      if (liveness?.vouchesFor(peer) === true) return Number.POSITIVE_INFINITY;
      if (referenceLeaseMs !== undefined || liveness?.watches(peer) === true) return 1;
      return UNWATCHED_LEASE_MS / leaseMs;
    },
    firstNumber: worker.firstId === 0 ? firstNumber(Date.now()) : worker.firstId + 1,
    nameOf: (peer) => worker.nameOf(peer),
    refusal: (holder, held) => {
      if (held < limit) return undefined;
      const what = { peer: worker.nameOf(holder), what: 'references to objects of this worker' };
      return beyond('maxPeerReferences', limit, what);
    },
    send: (peer, packet) => worker.endpoint.notify(peer, 'references', writeNotices(packet)),
    cut: (peer, reason) => worker.endpoint.cut(peer, reason),
  });
}
