/** What suite `faults` calls in other processes; loaded by both. */
import { rpc } from 'gradwire';

/** The name of the process of a rank; rank 0 is the one that measures. */
export function faultName(rank: number): string {
  return `member${rank}`;
}

/** Is never answered. */
export function never(): Promise<void> {
  return new Promise(() => {});
}

/** Computes for so many milliseconds without a pause. */
export function compute(ms: number): number {
  const end = performance.now() + ms;
  let turns = 0;
  while (performance.now() < end) turns++;
  return turns;
}

/** Returns at once. */
export function here(): void {}

/** Something to hold a reference to. */
export class Thing {}

rpc.register({ never, compute, here, Thing });
