/** Names of objects behind references, and of the copies of references: the rank of the worker that made it, and a number. */
export type RRefId = string & { readonly __brand: 'RRefId' };
export type ForkId = string & { readonly __brand: 'ForkId' };

const { parseInt: parseInteger } = Number;

/** Rank of the worker that made an id. */
export function makerOf(id: RRefId | ForkId): number {
  return parseInteger(id, 10);
}

/** The number in an id: of two that one process made the later one has the higher. */
export function numberOf(id: RRefId | ForkId): number {
  return Number(id.slice(id.indexOf('.') + 1));
}

/**
 * Numbers of a worker that starts now: those of an earlier process of its rank are lower, so that no name comes twice while
 * others still remember. Room for 4096 names in each ms of the process's life.
 */
export function firstNumber(wallClockMs: number): number {
  return (wallClockMs - Date.UTC(2026, 0, 1)) * 4096 + 1;
}

/** Ids of one worker begin so far behind those of one that had its rank a millisecond before. */
const IDS_PER_MS = 4096;
/** 2025-01-01. */
const EPOCH_MS = 1_735_689_600_000;

/** Before the first number of a member of a dynamic group, whose incarnation begins with the time of its start (UUID version 7). */
export function firstIdOf(incarnation: string): number {
  const startedAt = parseInteger(incarnation.replaceAll('-', '').slice(0, 12), 16);
  return Math.max(0, startedAt - EPOCH_MS) * IDS_PER_MS;
}
