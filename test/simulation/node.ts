/** One incarnation of a worker in the simulation: its protocol, the handles of its users, and the calls that it waits for. */

import type { Loss } from '../../rpc/reference-effects.ts';
import type { ForkId, RRefId } from '../../rpc/reference-ids.ts';
import { ReferenceProtocol } from '../../rpc/reference-protocol.ts';
import type { Clock, Connection, End } from './network.ts';

const NEVER = Number.POSITIVE_INFINITY;

export const LEASE_MS = 60_000;

/** A copy as user code has it. */
export interface Handle {
  readonly id: RRefId;
  readonly fork: ForkId;
  readonly owner: number;
  /** Which of the workers of that rank, by its first number. */
  readonly ownerNumber: number;
}

interface GivingUp {
  /** When nobody waits any more, if ever. */
  readonly giveUpInMs: number | undefined;
  /** Runs then, or when the connection ends. */
  readonly givenUp?: (() => void) | undefined;
}

export interface Watcher {
  freed(owner: SimNode, id: RRefId): void;
  refused(node: SimNode, fork: ForkId): void;
  expired(node: SimNode, peer: number): void;
}

export class SimNode implements End {
  readonly rank: number;
  readonly protocol: ReferenceProtocol;
  readonly connections: Map<number, Connection> = new Map();
  readonly gonePeers: Set<SimNode> = new Set();
  readonly handles: Handle[] = [];
  /** What waits for the fate of a copy. */
  readonly waiting: Map<ForkId, (isConfirmed: boolean) => void> = new Map();
  /** Ends of calls under way, by peer. */
  readonly calls: Map<() => void, number> = new Map();
  /** Objects whose creation has come. */
  readonly made: Set<RRefId> = new Set();
  /** Those that were made and are there no longer, too. */
  readonly everMade: Set<RRefId> = new Set();
  /** Those that will never be made. */
  readonly neverMade: Set<RRefId> = new Set();
  /** Uses that wait for their object, or for word that there will be none. */
  readonly uses: Map<RRefId, (() => void)[]> = new Map();
  /** How many uses of an object are under way. */
  readonly borrowed: Map<RRefId, number> = new Map();
  isAlive = true;
  /** Of the names that it gives. */
  readonly firstNumber: number;
  #next: number;
  readonly #clock: Clock;
  #isWoken = false;
  #timerAt = NEVER;

  constructor(rank: number, incarnation: number, clock: Clock, watcher: Watcher) {
    this.rank = rank;
    this.#clock = clock;
    this.firstNumber = incarnation * 1_000_000 + 1;
    this.#next = this.firstNumber;
    const effects = {
      wake: () => this.#wake(),
      send: (peer: number, packet: Parameters<ReferenceProtocol['receive']>[1]) => {
        const connection = this.connections.get(peer);
        if (connection === undefined || !connection.isOpenAt(this)) return;
        const to = connection.other(this) as SimNode;
        connection.sendControl(this, () => to.protocol.receive(this.rank, packet));
      },
      free: (id: RRefId) => watcher.freed(this, id),
      fail: (id: RRefId) => this.#never(id),
      confirmed: (fork: ForkId) => this.#settle(fork, true),
      lost: (fork: ForkId, why: Loss) => {
        if (why === 'freed') watcher.refused(this, fork);
        this.forget(fork);
        this.#settle(fork, false);
      },
      expire: (peer: number) => {
        watcher.expired(this, peer);
        this.connections.get(peer)?.close(this);
        this.protocol.peerGone(peer);
      },
    };
    this.protocol = new ReferenceProtocol(rank, effects, LEASE_MS, () => clock.now);
  }

  newId(): string {
    return `${this.rank}.${this.#next++}`;
  }

  /** The peer that this node is connected to, if any. */
  peer(rank: number): SimNode | undefined {
    if (rank === this.rank) return this;
    const connection = this.connections.get(rank);
    return connection?.isOpenAt(this) ? (connection.other(this) as SimNode) : undefined;
  }

  gone(rank: number): void {
    const connection = this.connections.get(rank);
    if (connection !== undefined) this.gonePeers.add(connection.other(this) as SimNode);
    for (const [end, peer] of this.calls) if (peer === rank) end();
    this.protocol.peerGone(rank);
  }

  /** Whether a user's copy can be used, as far as this node knows. */
  isUsable(handle: Handle): boolean {
    return this.handles.includes(handle);
  }

  /** What should not be there when nobody uses anything any more. */
  *leftovers(): Iterable<string> {
    const left = JSON.stringify(this.protocol.counts());
    if (/[1-9]/.test(left)) yield `G2: worker ${this.rank} keeps ${left}`;
    if (this.made.size > 0) yield `G2: ${[...this.made]} was not freed`;
    for (const id of this.uses.keys()) {
      yield `worker ${this.rank} waits for ever for ${id}, which is never made`;
    }
  }

  /** The creation has come. */
  make(id: RRefId): void {
    this.made.add(id);
    this.everMade.add(id);
    this.#decided(id);
  }

  /** Runs `work` once it is known what became of the object. */
  use(id: RRefId, work: () => void): void {
    if (this.everMade.has(id) || this.neverMade.has(id)) return work();
    const uses = this.uses.get(id) ?? [];
    uses.push(work);
    this.uses.set(id, uses);
  }

  /** Whether a use of the object is under way. */
  isUsed(id: RRefId): boolean {
    return (this.borrowed.get(id) ?? 0) > 0;
  }

  borrow(id: RRefId): boolean {
    if (!this.protocol.borrow(id)) return false;
    this.borrowed.set(id, (this.borrowed.get(id) ?? 0) + 1);
    return true;
  }

  giveBack(id: RRefId): void {
    this.borrowed.set(id, (this.borrowed.get(id) ?? 0) - 1);
    this.protocol.giveBack(id);
  }

  /** A request through some copies begins. The result ends it. */
  begin(
    peer: number,
    through: readonly Handle[],
    { giveUpInMs, givenUp = () => {} }: GivingUp,
  ): () => void {
    for (const { fork } of through) this.protocol.hold(fork);
    let isOver = false;
    const end = (outcome: () => void): void => {
      if (isOver) return;
      isOver = true;
      this.calls.delete(giveUp);
      for (const { fork } of through) this.protocol.letGo(fork);
      outcome();
    };
    const giveUp = (): void => end(givenUp);
    this.calls.set(giveUp, peer);
    if (giveUpInMs !== undefined) {
      this.#clock.after(giveUpInMs, () => this.isAlive && giveUp());
    }
    return () => end(() => {});
  }

  forget(fork: ForkId): void {
    const index = this.handles.findIndex((handle) => handle.fork === fork);
    if (index >= 0) this.handles.splice(index, 1);
  }

  dispose(handle: Handle): void {
    if (!this.handles.includes(handle)) return;
    this.forget(handle.fork);
    this.protocol.letGo(handle.fork);
  }

  #settle(fork: ForkId, isConfirmed: boolean): void {
    const tell = this.waiting.get(fork);
    this.waiting.delete(fork);
    tell?.(isConfirmed);
  }

  #never(id: RRefId): void {
    this.neverMade.add(id);
    this.#decided(id);
  }

  #decided(id: RRefId): void {
    const uses = this.uses.get(id) ?? [];
    this.uses.delete(id);
    for (const work of uses) work();
  }

  #wake(): void {
    if (this.#isWoken) return;
    this.#isWoken = true;
    this.#clock.after(0, () => {
      this.#isWoken = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (!this.isAlive) return;
    const dueAt = this.protocol.flush();
    if (dueAt >= this.#timerAt || dueAt === NEVER) return;
    this.#timerAt = dueAt;
    this.#clock.after(dueAt - this.#clock.now, () => {
      if (this.#timerAt !== dueAt) return;
      this.#timerAt = NEVER;
      this.#flush();
    });
  }
}
