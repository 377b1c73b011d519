/** Random numbers by seed. Pure. */

/** Numbers from 0 up to 1, without it (mulberry32); the same for the same seeds. */
export function seeded(...seeds: readonly number[]): () => number {
  let state = 0;
  for (const seed of seeds) state = Math.imul(state ^ seed, 0x9e37_79b1) ^ (seed >>> 15);
  return () => {
    state = (state + 0x6d2b_79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
