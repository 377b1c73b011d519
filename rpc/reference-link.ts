/** Connects the references of a worker to its connections. */
import type { Endpoint } from './endpoint.ts';
import type { ResolvedOptions } from './options.ts';
import { firstNumber } from './reference-ids.ts';
import { writeNotices } from './reference-notices.ts';
import { References } from './references.ts';

export interface Linked {
  /** See `WorkerCore`; 0 in a static group. */
  readonly firstId: number;
  readonly endpoint: Endpoint;
  nameOf(rank: number): string;
}

/** The references of a worker whose endpoint may be made later. */
export function makeReferences(
  worker: Linked,
  { rank, referenceLeaseMs }: Pick<ResolvedOptions, 'rank' | 'referenceLeaseMs'>,
): References {
  return new References({
    self: rank,
    leaseMs: referenceLeaseMs,
    firstNumber: worker.firstId === 0 ? firstNumber(Date.now()) : worker.firstId + 1,
    nameOf: (peer) => worker.nameOf(peer),
    send: (peer, packet) => worker.endpoint.notify(peer, 'references', writeNotices(packet)),
    cut: (peer, reason) => worker.endpoint.cut(peer, reason),
  });
}
