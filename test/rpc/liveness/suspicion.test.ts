/** Suspicion and death by silence: examples, and simulated observers whose machines stop and whose links break, by seed. */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { patienceOf } from '../../../rpc/liveness/mesh.ts';
import {
  MAX_STEP_MS,
  Suspicion,
  type SuspicionEffect,
  type SuspicionEvent,
} from '../../../rpc/liveness/suspicion.ts';
import { runs } from '../../support/runs.ts';

const PATIENCE = { suspectAfterMs: 2_000, deadAfterMs: 3_000, confirmAfterMs: 1_000 };
const TICK_MS = 100;

/** An observer with a clock of its own. */
class Observer {
  readonly suspicion = new Suspicion();
  readonly seen: (SuspicionEffect & { readonly at: number })[] = [];
  now = 0;

  step(event: SuspicionEvent): void {
    const effects = this.suspicion.step(event, this.now);
    this.seen.push(...effects.map((effect) => ({ ...effect, at: this.now })));
  }

  watch(key = 'a'): void {
    this.step({ type: 'watch', key, patience: PATIENCE });
  }

  beat(key = 'a'): void {
    this.step({ type: 'beat', key });
  }

  /** Runs for so long. */
  run(ms: number): void {
    for (const end = this.now + ms; this.now < end; ) {
      this.now += TICK_MS;
      this.step({ type: 'tick' });
    }
  }

  /** Does not run for so long. */
  sleep(ms: number): void {
    this.now += ms;
  }

  get types(): readonly string[] {
    return this.seen.map(({ type }) => type);
  }
}

test('silence is suspected, then dead, once', () => {
  const one = new Observer();
  one.watch();
  one.run(10_000);
  one.beat();
  one.step({ type: 'accused', key: 'a' });
  one.run(10_000);
  expect(one.seen).toEqual([
    { type: 'suspected', key: 'a', silentMs: 2_000, at: 2_000 },
    { type: 'dead', key: 'a', silentMs: 3_000, at: 3_000 },
  ]);
});

test('a sign of life lifts the suspicion', () => {
  const one = new Observer();
  one.watch();
  one.run(2_500);
  expect(one.suspicion.isAlive('a')).toBe(false);
  one.beat();
  expect(one.suspicion.isAlive('a')).toBe(true);
  one.run(1_900);
  expect(one.types).toEqual(['suspected', 'alive']);
});

test('who is accused is dead at once if it is silent here too, and not if it is heard', () => {
  const one = new Observer();
  one.watch('silent');
  one.watch('heard');
  one.run(1_500);
  one.beat('heard');
  one.step({ type: 'accused', key: 'silent' });
  one.step({ type: 'accused', key: 'heard' });
  expect(one.seen).toMatchObject([{ type: 'dead', key: 'silent', silentMs: 1_500 }]);
  one.run(500);
  one.beat('heard');
  one.run(1_900);
  expect(one.types).toEqual(['dead']);
});

test('time in which the observer did not run is no silence', () => {
  const one = new Observer();
  one.watch();
  for (let i = 0; i < 10; i++) {
    one.sleep(60_000);
    // Timers come before what has arrived meanwhile.
    one.step({ type: 'tick' });
    one.beat();
  }
  expect(one.types).toEqual([]);
  one.run(3_000);
  expect(one.types).toEqual(['suspected', 'dead']);
});

test('nothing is said of those that are not watched, or no longer', () => {
  const one = new Observer();
  one.beat('b');
  one.step({ type: 'accused', key: 'b' });
  one.watch();
  one.run(2_500);
  one.step({ type: 'unwatch', key: 'a' });
  one.run(5_000);
  expect(one.types).toEqual(['suspected']);
  one.watch();
  one.run(1_000);
  expect(one.suspicion.isAlive('a')).toBe(true);
});

test('the patience of the options', () => {
  expect(patienceOf(500, 3_000)).toEqual(PATIENCE);
  expect(patienceOf(1_000, 3_000).confirmAfterMs).toBe(2_000);
});

/** What happens in one simulated life: for so long the peer beats, is silent, or the observer does not run. */
const PHASE = fc.record({
  what: fc.constantFrom('beats' as const, 'silent' as const, 'asleep' as const, 'accused' as const),
  ms: fc.integer({ min: 0, max: 6_000 }),
});

test('simulated: no death without silence, none of a silence that is long enough goes unseen, and order', () => {
  fc.assert(
    fc.property(
      fc.array(PHASE, { maxLength: 30 }),
      fc.integer({ min: 50, max: 900 }),
      (life, interval) => {
        const one = new Observer();
        one.watch();
        let heardAt = 0;
        /** Time in which the observer ran since it last heard. */
        let silentMs = 0;
        let isAccused = false;
        for (const { what, ms } of life) {
          if (what === 'asleep') {
            one.sleep(ms);
            one.step({ type: 'tick' });
            silentMs += Math.min(ms, MAX_STEP_MS);
          } else if (what === 'accused') {
            isAccused = true;
            one.step({ type: 'accused', key: 'a' });
          }
          const steps = what === 'beats' || what === 'silent' ? Math.floor(ms / TICK_MS) : 0;
          for (let i = 0; i < steps; i++) {
            one.run(TICK_MS);
            silentMs += TICK_MS;
            if (what === 'silent' || one.now - heardAt < interval) continue;
            if (one.types.includes('dead')) continue;
            one.beat();
            heardAt = one.now;
            silentMs = 0;
            isAccused = false;
          }
          const limit = isAccused ? PATIENCE.confirmAfterMs : PATIENCE.deadAfterMs;
          expect(one.types.includes('dead')).toBe(one.types.includes('dead') || silentMs >= limit);
          if (!one.types.includes('dead')) expect(silentMs).toBeLessThan(limit);
        }
        for (const { type, silentMs: told } of one.seen) {
          if (type === 'dead') expect(told).toBeGreaterThanOrEqual(PATIENCE.confirmAfterMs);
          if (type === 'suspected') expect(told).toBeGreaterThanOrEqual(PATIENCE.suspectAfterMs);
        }
        const word = one.types.join(' ');
        expect(word).toMatch(/^(suspected alive ?)*(suspected ?)?(dead)?$/);
      },
    ),
    runs(300),
  );
});
