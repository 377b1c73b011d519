/**
 * The tutorial over connections that are slow and get lost: the job ends well, or every process that cannot go on says by name
 * why; it never hangs. By hand: `GRADWIRE_CHAOS=connection=cut:0.05,connection=delay:50ms npm start`.
 */
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { FaultPlan } from '../../rpc/faults/fault-plan.ts';
import { CliRun, descendants, expectGone, fixture, standalone } from '../support/cli.ts';

const SCRIPT = fileURLToPath(new URL('../../examples/parameter-server/main.js', import.meta.url));
const RULES = 'connection=cut:0.05,connection=delay:50ms';
/** A trainer sends more than that after it has joined, however short the job. */
const SOON_BYTES = 60_000;
const LIMIT_MS = 120_000;

/** A seed by which the rules cut, or do not cut, what trainer1 sends soon, and nothing else. */
function seedThatCuts(isWanted: boolean): number {
  for (let seed = 1; ; seed++) {
    const plan = new FaultPlan(RULES, { seed });
    const [first, second] = [1, 2].map((rank) => {
      const faults = plan.connectionsOf({ name: `trainer${rank}`, rank });
      // It joins, dials, and may dial anew.
      return [1, 2, 3, 4].map(() => faults?.next(0).cutAfterBytes);
    });
    const others = [first?.[0], first?.[2], first?.[3], ...(second ?? [])];
    if (others.some((bytes) => bytes !== undefined)) continue;
    const bytes = first?.[1];
    if (isWanted ? bytes !== undefined && bytes < SOON_BYTES : bytes === undefined) return seed;
  }
}

function start(seed: number): CliRun {
  return new CliRun(standalone(3, SCRIPT, '--iterations', '4', '--batch-size', '4'), {
    flags: ['--import', fixture('say-pid')],
    env: { GRADWIRE_CHAOS: RULES, GRADWIRE_CHAOS_SEED: String(seed) },
  });
}

test(
  'slow connections, of which none is lost: the job ends well',
  async () => {
    const seed = seedThatCuts(false);
    await using run = start(seed);
    expect(await run.code()).toBe(0);
    expect(run.stdout).toContain('Training complete!');
    expect(run.stderr).toContain(`trainer1 injects faults: ${RULES} (seed ${seed})`);
  },
  LIMIT_MS,
);

test(
  'a connection is lost: all end, and say who is gone',
  async () => {
    await using run = start(seedThatCuts(true));
    await run.pids(3);
    const all = descendants(run.pid);
    expect(await run.code()).toBe(1);
    await expectGone(all);
    expect(run.stderr).toMatch(/^\[1\] unavailable: parameter_server\b/m);
    expect(run.stderr).toMatch(/^\[0\] parameter_server: .*\btrainer1\b.* died/m);
  },
  LIMIT_MS,
);
