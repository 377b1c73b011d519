/**
 * The references of one worker: the objects that it owns, with what their creations gave, and its copies of references
 * anywhere. Who holds what is decided by `reference-protocol.ts`; here are the values, the promises and the timer.
 */
import { GradwireError } from '../errors.ts';
import { outside } from '../tensor/index.ts';
import { type Deadline, Deadlines } from './deadlines.ts';
import { closed, deleted, type HeldCopy, lossOf, neverMade, silence } from './lost-copies.ts';
import { type Outcome, OwnedValues } from './owned-values.ts';
import { PeerLoss } from './peer-loss.ts';
import type { Loss } from './reference-effects.ts';
import type { ForkId, RRefId } from './reference-ids.ts';
import type { NoticePacket } from './reference-notices.ts';
import { ReferenceProtocol } from './reference-protocol.ts';

export interface ReferenceOptions {
  /** Rank of the worker. */
  readonly self: number;
  /** After how long a silence of a peer that shares references its connection is ended. */
  readonly leaseMs: number;
  /** How many leases of silence are borne from this peer; Infinity while it gives signs of life by other means. */
  leases(peer: number): number;
  /** Number of the first name that is given. */
  readonly firstNumber: number;
  nameOf(peer: number): string;
  /** See `ObjectEffects`. */
  refusal?(holder: number, held: number): Error | undefined;
  send(peer: number, packet: NoticePacket): void;
  /** Ends the connection to a peer that was silent for the lease. */
  cut(peer: number, reason: Error): void;
}

interface Waiter {
  resolve(): void;
  reject(error: Error): void;
}

export class References {
  readonly #protocol: ReferenceProtocol;
  readonly #values: OwnedValues;
  /** The copies that users of this worker have not let go of. */
  readonly #copies = new Map<ForkId, HeldCopy>();
  readonly #waiting = new Map<ForkId, Waiter[]>();
  /** Owners that have given this worker up. */
  readonly #fenced = new Map<number, PeerLoss>();
  readonly #deadlines = new Deadlines();
  readonly #self: number;
  #timer: Deadline | undefined;
  #timerAt: number = Number.POSITIVE_INFINITY;
  #isWoken = false;
  #next: number;
  #isClosed = false;

  constructor({
    self,
    leaseMs,
    leases,
    firstNumber,
    nameOf,
    refusal,
    send,
    cut,
  }: ReferenceOptions) {
    this.#self = self;
    this.#next = firstNumber;
    this.#values = new OwnedValues(this.#deadlines);
    const effects = {
      wake: () => this.#wake(),
      refusal: (holder: number, held: number) => refusal?.(holder, held),
      send,
      free: (id: RRefId) => this.#values.free(id),
      fail: (id: RRefId) => this.#values.create(id)({ error: neverMade() }),
      confirmed: (fork: ForkId) => this.#settled(fork, undefined),
      lost: (fork: ForkId, why: Loss) => this.#lost(fork, why),
      leases,
      expire: (peer: number) => {
        cut(peer, silence(nameOf(peer), leaseMs * leases(peer)));
        // Also one that this worker was never connected to.
        this.#protocol.peerGone(peer);
      },
    };
    this.#protocol = new ReferenceProtocol(self, effects, leaseMs, () => performance.now());
  }

  /** Objects of this worker. */
  get ownedCount(): number {
    return this.#isClosed ? 0 : this.#protocol.counts().owned;
  }

  /** Copies of references to others' objects that are held here, for whatever reason. */
  get copyCount(): number {
    return this.#isClosed ? 0 : this.#protocol.counts().copies;
  }

  /** PyTorch: the counters of the RRef context in `_get_debug_info`. Local objects that were never shared do not count. */
  debugInfo(): Readonly<Record<string, number>> {
    const { owned, shared, forks, copies, pending, children } = this.#protocol.counts();
    return {
      numOwnerRrefs: shared,
      numLocalObjects: owned - shared,
      numForks: forks,
      numUserRrefs: copies,
      numPendingUsers: pending,
      numPendingChildren: children,
    };
  }

  /** The copies that nobody let go of, as text. */
  held(): readonly string[] {
    const holders = [...this.#copies.values()].filter(({ failure }) => failure === undefined);
    return holders.map(({ id, owner }) => `RRef ${id} of ${owner.name}`);
  }

  newId(): RRefId {
    return `${this.#self}.${this.#next++}` as RRefId;
  }

  newForkId(): ForkId {
    return `${this.#self}.${this.#next++}` as ForkId;
  }

  // The owner's side.

  /** An object of this worker, to be settled when it is there. Undefined: its maker does not want it any more. */
  create(id: RRefId, fork: ForkId, holder: number): ((outcome: Outcome) => void) | undefined {
    if (!this.#protocol.create(id, fork, holder)) return undefined;
    return this.#values.create(id);
  }

  /** Keeps the object, whether or not it is there yet, until the result is called. */
  borrow(id: RRefId): () => void {
    return this.#protocol.borrow(id) ? () => this.#protocol.giveBack(id) : () => {};
  }

  /**
   * The object, when it is there; who works with it longer must borrow it.
   *
   * @param timeoutMs how long to wait for a creation that another worker has asked for and that has not arrived: as long
   * as whoever asks for the object waits for it
   * @param asker rank of who asks; this worker itself by default
   * @throws GradwireError `unknown_rref`, or what the creation failed with
   */
  async value(id: RRefId, timeoutMs: number, asker: number = this.#self): Promise<unknown> {
    if (this.#isClosed) throw closed();
    if (!this.#protocol.borrow(id)) {
      throw new GradwireError('unknown_rref', `the object of reference ${id} has been freed`);
    }
    try {
      return await this.#values.get(id, timeoutMs, asker);
    } finally {
      this.#protocol.giveBack(id);
    }
  }

  // The user's side.

  /** A copy of something new: this worker asked the owner for it, or made it. */
  begin(copy: HeldCopy): void {
    this.#add(copy);
    if (!this.#isClosed) this.#protocol.begin(copy.id, copy.fork, copy.owner.id);
  }

  /** The creation was answered: the owner counts the copy. */
  created({ fork }: HeldCopy): void {
    this.#protocol.created(fork);
  }

  /** The creation failed, and with it every use of the copy: the owner may not even have heard of it. */
  creationFailed(copy: HeldCopy, error: Error): void {
    copy.failure ??= error;
    this.#protocol.failed(copy.id, copy.fork, copy.owner.id);
  }

  /** A copy came in a message. @returns whether the owner is known to count it */
  arrive(copy: HeldCopy): boolean {
    this.#add(copy);
    if (this.#isClosed) return false;
    const fate = this.#protocol.arrive(copy.id, copy.fork, copy.owner.id);
    if (fate === 'freed' || fate === 'owner-gone') copy.failure = this.#lossOf(copy, fate);
    return fate === 'confirmed';
  }

  /** Resolves when the owner counts the copy. @throws GradwireError (as rejection) `unknown_rref`, `owner_died` */
  confirmation(copy: HeldCopy): Promise<void> {
    if (copy.failure !== undefined) return Promise.reject(copy.failure);
    if (this.#protocol.isConfirmed(copy.fork)) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const waiters = this.#waiting.get(copy.fork) ?? [];
      waiters.push({ resolve, reject });
      this.#waiting.set(copy.fork, waiters);
    });
  }

  isConfirmed(copy: HeldCopy): boolean {
    return this.#protocol.isConfirmed(copy.fork);
  }

  /** A copy leaves for another worker, as a new fork. The result takes that back, should it not be sent. */
  pass({ id, fork: parent }: HeldCopy, to: number): { fork: ForkId; undo: () => void } {
    const fork = this.newForkId();
    this.#protocol.pass(parent, fork, to);
    return { fork, undo: () => this.#protocol.unpass(id, fork, to) };
  }

  /** A call through the copy begins: its object stays until `letGo`. */
  hold(fork: ForkId): void {
    this.#protocol.hold(fork);
  }

  letGo(fork: ForkId): void {
    this.#protocol.letGo(fork);
  }

  /** The user lets go of the copy. */
  release(copy: HeldCopy): void {
    this.#copies.delete(copy.fork);
    this.#protocol.letGo(copy.fork);
  }

  // The others.

  receive(peer: number, packet: NoticePacket): void {
    this.#protocol.receive(peer, packet);
  }

  /** @param loss why, as far as it is known */
  peerGone(rank: number, loss?: Error): void {
    if (loss instanceof PeerLoss && loss.code === 'fenced') this.#fenced.set(rank, loss);
    this.#values.askerGone(rank);
    this.#protocol.peerGone(rank);
  }

  /** @param firstNumber of the names that it gives, if that is known */
  peerHere(rank: number, firstNumber?: number): void {
    this.#fenced.delete(rank);
    this.#protocol.peerHere(rank, firstNumber);
  }

  /** Frees everything: the worker is shutting down. What is still being made is freed when it is there. */
  close(): void {
    this.#isClosed = true;
    this.#deadlines.close();
    this.#values.close(closed());
    for (const [fork, copy] of [...this.#copies]) this.#fail(fork, deleted(copy));
  }

  #add(copy: HeldCopy): void {
    if (this.#isClosed) copy.failure = deleted(copy);
    else this.#copies.set(copy.fork, copy);
  }

  #settled(fork: ForkId, error: Error | undefined): void {
    const waiters = this.#waiting.get(fork) ?? [];
    this.#waiting.delete(fork);
    for (const { resolve, reject } of waiters) error === undefined ? resolve() : reject(error);
  }

  #lost(fork: ForkId, why: Loss): void {
    const copy = this.#copies.get(fork);
    if (copy !== undefined) this.#fail(fork, this.#lossOf(copy, why));
  }

  #lossOf(copy: HeldCopy, why: Loss): GradwireError {
    return lossOf(copy, why, this.#fenced.get(copy.owner.id));
  }

  #fail(fork: ForkId, error: Error): void {
    const copy = this.#copies.get(fork);
    if (copy !== undefined) copy.failure ??= error;
    this.#settled(fork, error);
  }

  /** What is said in one tick leaves together. */
  #wake(): void {
    if (this.#isWoken || this.#isClosed) return;
    this.#isWoken = true;
    outside(() => process.nextTick(() => this.#flush()));
  }

  #flush(): void {
    this.#isWoken = false;
    if (this.#isClosed) return;
    const dueAt = this.#protocol.flush();
    if (dueAt >= this.#timerAt) return;
    this.#timer?.cancel();
    this.#timerAt = dueAt;
    this.#timer = this.#deadlines.add(Math.max(0, dueAt - performance.now()), () => {
      this.#timerAt = Number.POSITIVE_INFINITY;
      this.#flush();
    });
  }
}
