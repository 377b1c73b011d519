/** The values behind references of one owner, told by hand what others say; who holds what is tested in test/simulation. */
import { expect, jest, test } from '@jest/globals';
import type { ForkId, RRefId } from '../../rpc/reference-ids.ts';
import type { Notice, NoticePacket } from '../../rpc/reference-notices.ts';
import { References } from '../../rpc/references.ts';

const id = '1.1' as RRefId;
const fork = (text: string): ForkId => text as ForkId;

class Owner {
  readonly references: References;
  readonly #next = new Map<number, number>();
  readonly sent: [number, NoticePacket][] = [];
  readonly cut: string[] = [];

  constructor(self = 0, leaseMs = 40_000) {
    this.references = new References({
      self,
      leaseMs,
      leases: () => 1,
      firstNumber: 1,
      nameOf: (rank) => `worker${rank}`,
      send: (peer, packet) => this.sent.push([peer, packet]),
      cut: (peer, reason) => this.cut.push(`${peer} ${reason.message}`),
    });
  }

  /** A peer says something. */
  hear(peer: number, ...entries: Notice[]): void {
    const first = this.#next.get(peer) ?? 1;
    this.#next.set(peer, first + entries.length);
    this.references.receive(peer, { first, received: 0, entries });
  }
}

function made(owner: Owner, of: RRefId, copy: string): { free: jest.Mock } {
  const free = jest.fn();
  const settle = owner.references.create(of, fork(copy), Number.parseInt(copy, 10));
  settle?.({ value: {}, free });
  return { free };
}

test('who is gone takes its copies along, and those that it sent stay with who has them', () => {
  const owner = new Owner();
  const { free } = made(owner, id, '1.2');
  owner.hear(2, ['fork', id, fork('1.3')]);
  owner.references.peerGone(1);
  expect(free).not.toHaveBeenCalled();
  owner.references.peerGone(2);
  expect(free).toHaveBeenCalledTimes(1);
  expect(owner.references.ownedCount).toBe(0);
  // What was freed stays freed.
  owner.hear(3, ['fork', id, fork('3.1')]);
  owner.hear(3, ['drop', id, fork('3.2')]);
  expect(owner.references.ownedCount).toBe(0);
  owner.references.close();
});

test('a copy is dropped by its holder alone, and once', () => {
  const owner = new Owner();
  const { free } = made(owner, id, '1.2');
  owner.hear(2, ['drop', id, fork('1.2')]);
  expect(free).not.toHaveBeenCalled();
  const drop: NoticePacket = { first: 1, received: 0, entries: [['drop', id, fork('1.2')]] };
  owner.references.receive(1, drop);
  owner.references.receive(1, drop);
  expect(free).toHaveBeenCalledTimes(1);
  owner.references.close();
});

test('a request before the creation waits for it, as long as its caller does', async () => {
  jest.useFakeTimers();
  try {
    // The maker says nothing for all of the time.
    const { references } = new Owner(0, 400_000);
    const early = references.value(id, 60_000);
    jest.advanceTimersByTime(50_000);
    const settle = references.create(id, fork('1.2'), 1);
    // The creation has come and takes its time.
    jest.advanceTimersByTime(60_000);
    settle?.({ value: 'made', free: () => {} });
    expect(await early).toBe('made');
    const never = references.value('1.7' as RRefId, 700);
    jest.advanceTimersByTime(720);
    await expect(never).rejects.toThrow(/^unknown_rref: no object was made/);
    const orphan = references.value('2.7' as RRefId, 60_000);
    references.peerGone(2);
    await expect(orphan).rejects.toThrow(/^unknown_rref/);
    references.peerGone(1);
    await expect(references.value(id, 60_000)).rejects.toThrow(/^unknown_rref: .*has been freed/);
    expect(references.ownedCount).toBe(0);
    references.close();
    expect(jest.getTimerCount()).toBe(0);
  } finally {
    jest.useRealTimers();
  }
});

test('a creation that comes after its reference was let go of is refused', async () => {
  const owner = new Owner();
  const waits = owner.references.value(id, 60_000);
  owner.hear(2, ['fork', id, fork('1.3')]);
  owner.hear(1, ['drop', id, fork('1.2')]);
  await expect(waits).rejects.toThrow(/^unknown_rref: the object was never made/);
  expect(owner.references.create(id, fork('1.2'), 1)).toBeUndefined();
  owner.hear(2, ['drop', id, fork('1.3')]);
  expect(owner.references.ownedCount).toBe(0);
  owner.references.close();
});

test('a borrowed object outlives its last copy', () => {
  const owner = new Owner();
  const { free } = made(owner, id, '1.2');
  const giveBack = owner.references.borrow(id);
  owner.hear(1, ['drop', id, fork('1.2')]);
  expect(free).not.toHaveBeenCalled();
  giveBack();
  expect(free).toHaveBeenCalledTimes(1);
  owner.references.close();
});

test('what is made after all copies are gone, or after the end, is freed', async () => {
  const owner = new Owner();
  const free = jest.fn();
  const settle = owner.references.create(id, fork('1.2'), 1);
  owner.hear(1, ['drop', id, fork('1.2')]);
  settle?.({ value: {}, free });
  expect(free).toHaveBeenCalledTimes(1);
  const other = '1.5' as RRefId;
  const late = owner.references.create(other, fork('1.6'), 1);
  const waiting = owner.references.value(other, 60_000);
  owner.references.close();
  await expect(waiting).rejects.toThrow(/^shut_down/);
  late?.({ value: {}, free });
  owner.references.create('1.8' as RRefId, fork('1.9'), 1)?.({ value: {}, free });
  expect(free).toHaveBeenCalledTimes(3);
});

test('a failed creation fails whoever asks, and nobody else', async () => {
  const { references } = new Owner();
  const settle = references.create(id, fork('1.2'), 1);
  settle?.({ error: new RangeError('no') });
  await expect(references.value(id, 60_000)).rejects.toThrow('no');
  await expect(references.value(id, 60_000)).rejects.toThrow('no');
  references.close();
});

test('a peer that holds something and is silent for the lease is cut off, one that answers is not', async () => {
  jest.useFakeTimers();
  const turn = async (): Promise<void> => {
    await Promise.resolve();
    jest.runAllTicks();
  };
  try {
    const owner = new Owner();
    made(owner, id, '1.2');
    made(owner, '2.1' as RRefId, '2.2');
    await turn();
    for (let look = 0; look < 6; look++) {
      jest.advanceTimersByTime(10_010);
      const said = owner.sent.filter(([peer]) => peer === 2).at(-1)?.[1];
      const received = (said?.first ?? 1) + (said?.entries.length ?? 0) - 1;
      owner.references.receive(2, { first: 1, received, entries: [] });
      await turn();
    }
    expect(owner.cut[0]).toMatch(/^1 unavailable: worker1 .*silent for 40000 ms/);
    expect(owner.cut.filter((line) => line.startsWith('2'))).toEqual([]);
    owner.references.close();
    expect(jest.getTimerCount()).toBe(0);
  } finally {
    jest.useRealTimers();
  }
});
