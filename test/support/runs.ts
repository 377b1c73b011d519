/** How often the property tests run: few times in the suite, by the thousand in `npm run test:long`; either by seed. */
const LONG_FACTOR = 30;

/**
 * Parameters for `fc.assert`. A failure prints its seed; GRADWIRE_TEST_SEED runs with that seed again.
 *
 * @param numRuns runs in the normal suite
 * @param longRuns runs in `npm run test:long`
 */
export function runs(
  numRuns: number,
  longRuns: number = numRuns * LONG_FACTOR,
): { numRuns: number; seed?: number } {
  const isLong = process.env['GRADWIRE_TEST_LONG'] === '1';
  const seed = process.env['GRADWIRE_TEST_SEED'];
  return {
    numRuns: isLong ? longRuns : numRuns,
    ...(seed === undefined ? {} : { seed: Number(seed) }),
  };
}
