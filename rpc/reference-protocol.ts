/**
 * Who holds what, on one worker: the objects that it owns with their copies anywhere, and its own copies of references. Every
 * copy is a fork with an id of its own, and its owner's word decides: a copy counts when the owner has heard of it from
 * its holder and confirmed it, until the holder lets go of it or is gone.
 *
 * - Owner to user: the owner counts the copy when it packs it; nothing else is said.
 * - User to user: the receiver asks the owner (`fork`), who confirms, and passes the confirmation on to the sender. Until
 *   then the sender's own copy stays, so that the object does.
 * - User to owner: the owner counts a copy of its own, and confirms to the sender.
 * - Creation: the answer to it confirms. A creation that comes after its reference was let go of is refused. One that failed
 *   for its maker is never waited for: the maker says so (`never`), as it may not have come and may never come.
 *
 * Workers that share references say `here` when they have nothing else to say; who stays silent for the lease is gone,
 * unless others vouch for it.
 * Pure: it sends and frees through its effects, and the clock is given. Carries guarantees G1 and G2.
 */
import { HeldObjects } from './held-objects.ts';
import type { Loss, ProtocolEffects } from './reference-effects.ts';
import { type ForkId, makerOf, numberOf, type RRefId } from './reference-ids.ts';
import type { Notice, NoticePacket } from './reference-notices.ts';
import { ReferencePeers } from './reference-peers.ts';

interface Copy {
  readonly id: RRefId;
  readonly owner: number;
  /** The user's handle, calls under way through it, and children that are not confirmed. */
  holds: number;
  isConfirmed: boolean;
  /** The creation that it is of failed. */
  isFailed: boolean;
}

type Count = 'owned' | 'shared' | 'forks' | 'copies' | 'pending' | 'children';

export class ReferenceProtocol {
  readonly #self: number;
  readonly #effects: ProtocolEffects;
  readonly #objects: HeldObjects;
  readonly #copies = new Map<ForkId, Copy>();
  /** Copies on their way from here to other users. */
  readonly #children = new Map<ForkId, { readonly parent: ForkId; readonly to: number }>();
  readonly #peers: ReferencePeers;
  /** Who is connected. Owners are connected to all before they own anything: one that is not here is gone. */
  readonly #here = new Set<number>();
  readonly #gone = new Set<number>();
  /** Ranks that were given again: the first number of the names that who has it now gives. */
  readonly #firstNumbers = new Map<number, number>();

  /** @param self rank of the worker; @param now ms of a clock that never goes back */
  constructor(self: number, effects: ProtocolEffects, leaseMs: number, now: () => number) {
    this.#self = self;
    this.#effects = effects;
    this.#objects = new HeldObjects(self, (id) => this.#isMakerGone(id), effects);
    this.#peers = new ReferencePeers(effects, leaseMs, now);
  }

  counts(): Readonly<Record<Count, number>> {
    const users = [...this.#copies.values()].filter(({ owner }) => owner !== this.#self);
    return {
      ...this.#objects.counts(),
      copies: users.length,
      pending: users.filter(({ isConfirmed, isFailed }) => !isConfirmed && !isFailed).length,
      children: this.#children.size,
    };
  }

  isConfirmed(fork: ForkId): boolean {
    return this.#copies.get(fork)?.isConfirmed ?? false;
  }

  // The owner's objects.

  /** The creation has come. False: its reference was let go of before, and it must not be made. */
  create(id: RRefId, fork: ForkId, holder: number): boolean {
    if (!this.#objects.create(id, fork, holder)) return false;
    this.#meet(holder);
    return true;
  }

  /** Keeps the object, whether or not it is there yet. False: it has been freed. */
  borrow(id: RRefId): boolean {
    if (!this.#objects.borrow(id)) return false;
    // The maker's silence must end the wait.
    if (!this.#objects.isDecided(id)) this.#meet(makerOf(id));
    return true;
  }

  giveBack(id: RRefId): void {
    this.#objects.giveBack(id);
  }

  // Copies of this worker.

  /** This worker asks `owner` for a new object, or has made one itself. */
  begin(id: RRefId, fork: ForkId, owner: number): void {
    const isOwn = owner === this.#self;
    this.#copies.set(fork, { id, owner, holds: 1, isConfirmed: isOwn, isFailed: false });
    if (isOwn) this.#objects.hold(id, fork, owner);
    else this.#meet(owner);
  }

  /** The creation was answered. */
  created(fork: ForkId): void {
    this.#confirm(fork);
  }

  /** The creation failed here, wherever it has come to: nobody is to wait for it. */
  failed(id: RRefId, fork: ForkId, owner: number): void {
    const copy = this.#copies.get(fork);
    if (copy !== undefined) copy.isFailed = true;
    if (owner === this.#self) this.#objects.fail(id, fork, owner);
    // One that is gone was dropped, which says as much.
    else if (copy !== undefined) this.#tell(owner, 'never', id, fork);
  }

  /**
   * A copy came in a message. Its fate is told by the effects unless it is known at once.
   *
   * @param isReplaced whether who has that rank now is another
   */
  arrive(
    id: RRefId,
    fork: ForkId,
    owner: number,
    isReplaced = false,
  ): 'confirmed' | 'pending' | Loss {
    const maker = makerOf(fork);
    const isOwn = !isReplaced && owner === this.#self;
    const isGone = !isOwn && (isReplaced || !this.#here.has(owner));
    if (maker !== owner) {
      if (isOwn || isGone) this.#tell(maker, 'confirm', id, fork);
      else this.#tell(owner, 'fork', id, fork);
    }
    if (isGone) return 'owner-gone';
    if (isOwn && !this.#objects.take(id, fork, maker)) return 'freed';
    const isConfirmed = isOwn || maker === owner;
    this.#copies.set(fork, { id, owner, holds: 1, isConfirmed, isFailed: false });
    this.#meet(owner);
    return isConfirmed ? 'confirmed' : 'pending';
  }

  /** A copy leaves for another worker as `fork`. */
  pass(parent: ForkId, fork: ForkId, to: number): void {
    const copy = this.#copies.get(parent);
    if (copy === undefined) return;
    if (copy.owner === this.#self) {
      this.#objects.hold(copy.id, fork, to);
    } else {
      copy.holds++;
      this.#children.set(fork, { parent, to });
    }
    this.#meet(to);
  }

  /** The message with the copy was not sent. */
  unpass(id: RRefId, fork: ForkId, to: number): void {
    if (this.#children.has(fork)) this.#childDone(fork);
    else this.#objects.drop(id, fork, to);
  }

  /** One more reason to keep the copy. */
  hold(fork: ForkId): void {
    const copy = this.#copies.get(fork);
    if (copy !== undefined) copy.holds++;
  }

  /** One reason less; after the last the owner is told. */
  letGo(fork: ForkId): void {
    const copy = this.#copies.get(fork);
    if (copy === undefined || --copy.holds > 0) return;
    this.#copies.delete(fork);
    const { id, owner } = copy;
    if (owner === this.#self) return this.#objects.drop(id, fork, owner);
    this.#tell(owner, 'drop', id, fork);
    this.#settled(fork, copy);
  }

  // The others.

  /** @throws GradwireError `protocol_error` */
  receive(peer: number, packet: NoticePacket): void {
    for (const notice of this.#peers.accept(peer, packet)) this.#heed(peer, notice);
    this.#effects.wake();
  }

  /** A worker is gone with all that it held. */
  peerGone(rank: number): void {
    this.#gone.add(rank);
    this.#here.delete(rank);
    this.#peers.forget(rank);
    for (const [fork, copy] of this.#copies) {
      if (copy.owner === rank) this.#lose(fork, copy, 'owner-gone');
    }
    for (const [fork, { parent, to }] of this.#children) {
      if (to === rank || !this.#copies.has(parent)) this.#childDone(fork);
    }
    this.#objects.dropHolder(rank);
  }

  /**
   * A worker of this rank is there, or there again.
   *
   * @param firstNumber its names have none lower: those that have are of an earlier worker of the rank
   */
  peerHere(rank: number, firstNumber = 0): void {
    this.#gone.delete(rank);
    this.#here.add(rank);
    if (firstNumber > 0) this.#firstNumbers.set(rank, firstNumber);
  }

  /** Sends what is to be sent now. @returns when to call again unless woken before */
  flush(): number {
    return this.#peers.flush(() => this.#sharing());
  }

  #heed(peer: number, [what, id, fork]: Notice): void {
    switch (what) {
      case 'fork': {
        const isCounted = this.#objects.count(id, fork, peer);
        return this.#tell(peer, isCounted ? 'confirm' : 'refuse', id, fork);
      }
      case 'drop':
        return this.#objects.drop(id, fork, peer);
      case 'never':
        return this.#objects.fail(id, fork, peer);
      case 'confirm':
        if (this.#copies.get(fork)?.owner === peer) this.#confirm(fork);
        else if (this.#children.get(fork)?.to === peer) this.#childDone(fork);
        return;
      case 'refuse': {
        const copy = this.#copies.get(fork);
        if (copy?.owner === peer) this.#lose(fork, copy, 'freed');
        return;
      }
      case 'here':
        return;
    }
  }

  #isMakerGone(id: RRefId): boolean {
    const maker = makerOf(id);
    return this.#gone.has(maker) || numberOf(id) < (this.#firstNumbers.get(maker) ?? 0);
  }

  #confirm(fork: ForkId): void {
    const copy = this.#copies.get(fork);
    if (copy === undefined || copy.isConfirmed) return;
    this.#settled(fork, copy);
    copy.isConfirmed = true;
    this.#effects.confirmed(fork);
  }

  #lose(fork: ForkId, copy: Copy, why: Loss): void {
    this.#copies.delete(fork);
    this.#settled(fork, copy);
    this.#effects.lost(fork, why);
  }

  /** The fate of a copy is known: its sender need not keep its own for its sake any longer. */
  #settled(fork: ForkId, { id, owner, isConfirmed }: Copy): void {
    const maker = makerOf(fork);
    if (isConfirmed || maker === owner) return;
    if (maker === this.#self) this.#childDone(fork);
    else this.#tell(maker, 'confirm', id, fork);
  }

  #childDone(fork: ForkId): void {
    const child = this.#children.get(fork);
    this.#children.delete(fork);
    if (child !== undefined) this.letGo(child.parent);
  }

  /** References are shared with this worker from now on. */
  #meet(rank: number): void {
    if (rank !== this.#self) this.#peers.meet(rank);
  }

  #tell(peer: number, ...notice: Notice): void {
    if (this.#gone.has(peer)) return;
    this.#peers.push(peer, notice);
    this.#effects.wake();
  }

  /** With whom references are shared. */
  #sharing(): Set<number> {
    const ranks = this.#objects.holders();
    for (const { owner } of this.#copies.values()) ranks.add(owner);
    for (const { to } of this.#children.values()) ranks.add(to);
    return ranks;
  }
}
