/** Whatever happens while workers join and leave, in whatever order: those that are left see the same, and all of it. */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { GroupSimulation, type SimulatedWorker, sees } from '../support/group-simulation.ts';
import { runs } from '../support/runs.ts';

const RANKS = 6;

/** What may happen to the others than rank 0, and how often. */
interface Troubles {
  readonly seed: number;
  readonly joins: number;
  readonly kills: number;
  readonly quits: number;
  readonly leaves: number;
  readonly severs: number;
  readonly lapses: number;
}

const troubles: fc.Arbitrary<Troubles> = fc.record({
  seed: fc.integer(),
  joins: fc.integer({ min: 1, max: 12 }),
  kills: fc.integer({ min: 0, max: 4 }),
  quits: fc.integer({ min: 0, max: 3 }),
  leaves: fc.integer({ min: 0, max: 4 }),
  severs: fc.integer({ min: 0, max: 2 }),
  lapses: fc.integer({ min: 0, max: 2 }),
});

type Trouble = 'join' | 'kill' | 'quit' | 'leave' | 'sever' | 'lapse';

/** Mixes steps of the protocol with troubles, then lets it come to rest. */
function simulate({
  seed,
  joins,
  kills,
  quits,
  leaves,
  severs,
  lapses,
}: Troubles): GroupSimulation {
  const group = new GroupSimulation(seed);
  group.onArrival = (worker) => checkArrival(group, worker);
  const times: [Trouble, number][] = [
    ['join', joins],
    ['kill', kills],
    ['quit', quits],
    ['leave', leaves],
    ['sever', severs],
    ['lapse', lapses],
  ];
  const todo = times.flatMap(([trouble, count]) => Array<Trouble>(count).fill(trouble));
  while (todo.length > 0) {
    for (let steps = group.pick(20); steps > 0; steps--) group.advance();
    cause(group, todo.splice(group.pick(todo.length), 1)[0] as Trouble);
  }
  let steps = 0;
  for (;;) {
    while (group.advance()) if (++steps > 100_000) throw new Error('it does not come to rest');
    // A place that is kept for one that died is given up after a while.
    const ghosts = group.workers.filter((w) => group.book.isExpected(w.rank, w.incarnation));
    for (const ghost of ghosts) group.lapse(ghost);
    if (ghosts.length === 0) return group;
  }
}

function cause(group: GroupSimulation, trouble: Trouble): void {
  if (trouble === 'join') return void group.start(1 + group.pick(RANKS));
  const able = group.workers.filter((worker) => worker.rank !== 0 && suits(trouble, worker));
  const victim = able[group.pick(able.length)];
  if (victim === undefined) return;
  if (trouble === 'kill' || trouble === 'quit') group.end(victim, trouble === 'quit');
  else group[trouble](victim);
  // Another comes in its place, at once.
  if (group.pick(2) === 0) group.start(victim.rank);
}

function suits(trouble: Trouble, { state }: SimulatedWorker): boolean {
  if (trouble === 'leave') return state === 'here';
  if (trouble === 'lapse') return state === 'asking' || state === 'admitted';
  return state !== 'out';
}

/** When its `init` resolves a worker can call all who are there, and they can call it. */
function checkArrival({ workers, book }: GroupSimulation, worker: SimulatedWorker): void {
  const { seats } = book.snapshot;
  for (const other of workers) {
    const isThere = seats.some(({ incarnation }) => incarnation === other.incarnation);
    if (other === worker || other.state !== 'here' || !isThere) continue;
    // Rank 0 may have lost this worker, which does not know it yet.
    if (!seats.some(({ incarnation }) => incarnation === worker.incarnation)) return;
    if (other.rank !== 0 && other.roster.since > worker.roster.since) continue;
    expect([
      worker.incarnation,
      other.incarnation,
      sees(other, worker),
      sees(worker, other),
    ]).toEqual([worker.incarnation, other.incarnation, true, true]);
  }
}

/** Members that rank 0 has lost sight of, and that live on: nobody else may count them in. */
function isOrphan({ rank, ways, state }: SimulatedWorker): boolean {
  return rank !== 0 && state === 'here' && !ways.has(0);
}

test('all that are left see each other, and nobody else', () => {
  fc.assert(
    fc.property(troubles, (given) => {
      const { workers, book } = simulate(given);
      const live = workers.filter((worker) => worker.state !== 'out' && !isOrphan(worker));
      expect(live.map(({ incarnation, state }) => [incarnation, state])).toEqual(
        live.map(({ incarnation }) => [incarnation, 'here']),
      );
      const expected = live.map(({ incarnation }) => incarnation).sort();
      expect(book.snapshot.seats.map(({ incarnation }) => incarnation).sort()).toEqual(expected);
      for (const { roster, incarnation, ways } of live) {
        const seen = [...roster.members.map((seat) => seat.incarnation), incarnation].sort();
        expect([incarnation, seen]).toEqual([incarnation, expected]);
        const linked = [...ways.values()].map(({ to }) => to.incarnation);
        expect([...linked, incarnation].sort()).toEqual(expected);
        expect(roster.number).toBe(book.snapshot.number);
      }
      // Of two that held a rank one after the other at most one is left.
      expect(new Set(live.map(({ rank }) => rank)).size).toBe(live.length);
    }),
    runs(300),
  );
});

test('without troubles all that ask for a rank of their own are in', () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const group = new GroupSimulation(seed);
      for (let rank = 1; rank <= 20; rank++) group.start(rank);
      while (group.advance());
      for (const { state, roster } of group.workers) {
        expect([state, roster.members.length]).toEqual(['here', 20]);
      }
    }),
    runs(10),
  );
});
