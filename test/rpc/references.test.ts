import { expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { type ForkId, References, type RRefId } from '../../rpc/references.ts';
import { runs } from '../support/runs.ts';

const OWNER = 0;
const WORKERS = 4;

type Note = (owner: References) => void;

/** Workers that pass one reference around; each pair's notes arrive in order, pairs in any. */
class World {
  readonly owner = new References(OWNER);
  readonly users: References[] = Array.from({ length: WORKERS }, (_, rank) => new References(rank));
  /** Notes under way to the owner, by sender. */
  readonly toOwner: Note[][] = this.users.map(() => []);
  /** Copies under way: by sender and receiver. */
  readonly mail = new Map<string, ForkId[]>();
  readonly held: ForkId[][] = this.users.map(() => []);
  readonly id: RRefId;
  freed = 0;

  constructor() {
    const creator = this.users[1] as References;
    this.id = creator.newId();
    const fork = creator.newForkId();
    this.held[1]?.push(fork);
    this.toOwner[1]?.push((owner) => {
      const settle = owner.create(this.id);
      owner.addFork(this.id, fork, 1);
      settle({ value: {}, free: () => this.freed++ });
    });
  }

  /** A holder passes the reference on: the owner is told first. */
  pass(from: number, to: number): void {
    if (this.held[from]?.length === 0) return;
    const fork = (from === OWNER ? this.owner : (this.users[from] as References)).newForkId();
    if (from === OWNER) this.owner.addFork(this.id, fork, to);
    else this.toOwner[from]?.push((owner) => owner.addFork(this.id, fork, to));
    const key = `${from} ${to}`;
    this.mail.set(key, [...(this.mail.get(key) ?? []), fork]);
  }

  receive(from: number, to: number): void {
    const fork = this.mail.get(`${from} ${to}`)?.shift();
    if (fork !== undefined) this.held[to]?.push(fork);
  }

  drop(rank: number, which: number): void {
    const list = this.held[rank] ?? [];
    const [fork] = list.splice(which % Math.max(1, list.length), 1);
    if (fork !== undefined)
      this.toOwner[rank]?.push((owner) => owner.dropFork(this.id, fork, rank));
  }

  tell(rank: number): void {
    this.toOwner[rank]?.shift()?.(this.owner);
  }

  /** Copies held or under way, and creations that have not arrived. */
  get isHeld(): boolean {
    return this.held.some((h) => h.length > 0) || [...this.mail.values()].some((m) => m.length > 0);
  }
}

const rank = fc.nat(WORKERS - 1);
const move = fc.record({
  do: fc.constantFrom('pass', 'receive', 'drop', 'tell', 'tell'),
  from: rank,
  to: rank,
});

test('never freed while a copy lives, always freed when none does', () => {
  fc.assert(
    fc.property(fc.array(move, { maxLength: 120 }), (moves) => {
      const world = new World();
      const check = (): void => {
        if (world.isHeld) expect(world.freed).toBe(0);
      };
      for (const { do: what, from, to } of moves) {
        if (what === 'pass') world.pass(from, to);
        else if (what === 'receive') world.receive(from, to);
        else if (what === 'drop') world.drop(from, to);
        else world.tell(from);
        check();
      }
      for (let a = 0; a < WORKERS; a++) {
        for (let b = 0; b < WORKERS; b++) {
          while ((world.mail.get(`${a} ${b}`)?.length ?? 0) > 0) world.receive(a, b);
        }
      }
      for (let a = 0; a < WORKERS; a++) while ((world.held[a]?.length ?? 0) > 0) world.drop(a, 0);
      for (let a = 0; a < WORKERS; a++) while ((world.toOwner[a]?.length ?? 0) > 0) world.tell(a);
      expect([world.freed, world.owner.ownedCount]).toEqual([1, 0]);
    }),
    runs(500),
  );
});

const id = '1.1' as RRefId;
const fork = (text: string): ForkId => text as ForkId;

test('who is gone takes its copies along, and those that it had yet to announce', () => {
  const owner = new References(0);
  const free = jest.fn();
  const settle = owner.create(id);
  owner.addFork(id, fork('1.2'), 1);
  settle({ value: 5, free });
  owner.addFork(id, fork('1.3'), 2);
  owner.dropFork(id, fork('2.9'), 3);
  owner.dropHolder(1);
  expect(free).not.toHaveBeenCalled();
  owner.dropHolder(2);
  expect(free).toHaveBeenCalledTimes(1);
  expect(owner.ownedCount).toBe(0);
  // What was freed stays freed.
  owner.addFork(id, fork('3.1'), 3);
  owner.dropFork(id, fork('3.2'), 2);
  expect(owner.ownedCount).toBe(0);
});

test('a worker that takes an announcement back leaves nothing', () => {
  const owner = new References(0);
  owner.dropFork(id, fork('1.3'), 1);
  expect(owner.ownedCount).toBe(0);
});

test('a request before the creation waits for it, as long as its caller does', async () => {
  jest.useFakeTimers();
  try {
    const owner = new References(0);
    const early = owner.value(id, 60_000);
    jest.advanceTimersByTime(50_000);
    const settle = owner.create(id);
    owner.addFork(id, fork('1.2'), 1);
    // The creation has come and takes its time.
    jest.advanceTimersByTime(60_000);
    settle({ value: 'made', free: () => {} });
    expect(await early).toBe('made');
    const never = owner.value('1.7' as RRefId, 700);
    jest.advanceTimersByTime(720);
    await expect(never).rejects.toThrow(/^unknown_rref: no object was made/);
    const orphan = owner.value('2.7' as RRefId, 60_000);
    owner.dropHolder(2);
    await expect(orphan).rejects.toThrow(/^unknown_rref/);
    owner.dropFork(id, fork('1.2'), 1);
    await expect(owner.value(id, 60_000)).rejects.toThrow(/^unknown_rref: .*has been freed/);
    expect(owner.ownedCount).toBe(0);
    owner.close();
    expect(jest.getTimerCount()).toBe(0);
  } finally {
    jest.useRealTimers();
  }
});

test('a borrowed object outlives its last copy', () => {
  const owner = new References(0);
  const free = jest.fn();
  owner.addFork(id, fork('1.2'), 1);
  owner.create(id)({ value: {}, free });
  const giveBack = owner.borrow(id);
  owner.dropFork(id, fork('1.2'), 1);
  expect(free).not.toHaveBeenCalled();
  giveBack();
  expect(free).toHaveBeenCalledTimes(1);
});

test('what is made after all copies are gone, or after the end, is freed', async () => {
  const owner = new References(0);
  const free = jest.fn();
  const settle = owner.create(id);
  owner.addFork(id, fork('1.2'), 1);
  owner.dropFork(id, fork('1.2'), 1);
  settle({ value: {}, free });
  expect(free).toHaveBeenCalledTimes(1);
  const late = owner.create('1.5' as RRefId);
  owner.addFork('1.5' as RRefId, fork('1.6'), 1);
  const waiting = owner.value('1.5' as RRefId, 60_000);
  owner.close();
  await expect(waiting).rejects.toThrow(/^shut_down/);
  late({ value: {}, free });
  owner.create('1.8' as RRefId)({ value: {}, free });
  expect(free).toHaveBeenCalledTimes(3);
  expect(owner.ownedCount).toBe(0);
});

test('a failed creation fails whoever asks, and nobody else', async () => {
  const owner = new References(0);
  const settle = owner.create(id);
  owner.addFork(id, fork('1.2'), 1);
  settle({ error: new RangeError('no') });
  await expect(owner.value(id, 60_000)).rejects.toThrow('no');
  await expect(owner.value(id, 60_000)).rejects.toThrow('no');
});
