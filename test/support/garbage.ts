/** Garbage collection on demand, for tests of finalizers. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Collects all garbage now; finalizers run in a later turn of the event loop. */
export function collectGarbage(): void {
  collect();
}
