/** Garbage collection on demand, for tests of finalizers. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Collects all garbage now; finalizers run in a later turn of the event loop. */
export function collectGarbage(): void {
  collect();
}

/**
 * Collects at every 50th call, for a condition that is looked at in each turn of the event loop.
 *
 * A reference found dead is let go of by messages, which need turns, and a collection of a large heap takes as long
 * as hundreds of them: collecting in every turn would leave the messages no time.
 */
export function garbageCollector(): () => void {
  let turn = 0;
  return () => {
    if (turn++ % 50 === 0) collect();
  };
}
