/**
 * The protocol of references over lost, doubled, delayed and swapped control messages, ended connections and crashes, by
 * seeds: 2,000 schedules, 100,000 in `npm run test:long`; GRADWIRE_TEST_SEED runs from that seed on.
 */
import { expect, test } from '@jest/globals';
import { World } from './world.ts';

const isLong = process.env['GRADWIRE_TEST_LONG'] === '1';
const SCHEDULES = isLong ? 100_000 : 2_000;
const FIRST_SEED = Number(process.env['GRADWIRE_TEST_SEED'] ?? 1);

test(
  'never freed while a worker that can be heard holds it, and nothing kept once unused',
  () => {
    const total = { created: 0, freed: 0, passed: 0, crashed: 0, vanished: 0 };
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SCHEDULES; seed++) {
      const world = new World(seed);
      world.run();
      if (world.violations.length > 0) {
        throw new Error(`GRADWIRE_TEST_SEED=${seed}: ${world.violations.join('\n')}`);
      }
      for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += world.done[key];
    }
    // The schedules do what they are for.
    expect(total.created).toBeGreaterThan(5 * SCHEDULES);
    expect(total.passed).toBeGreaterThan(5 * SCHEDULES);
    expect(total.freed).toBeGreaterThan(4 * SCHEDULES);
    expect(total.crashed).toBeGreaterThan(SCHEDULES / 20);
    expect(total.vanished).toBeGreaterThan(SCHEDULES / 20);
  },
  isLong ? 3_600_000 : 60_000,
);
