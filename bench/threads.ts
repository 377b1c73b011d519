/** How many threads the engine of this process computes on. */

/** PLACEHOLDER(threads): `getNumThreads()` of gradwire, once it is there. */
export function threadsInUse(): number {
  return 1;
}
