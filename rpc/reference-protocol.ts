/**
 * Who holds what, on one worker: the objects that it owns with their copies anywhere, and its own copies of references. Every
 * copy is a fork with an id of its own, and its owner's word decides: a copy counts when the owner has heard of it from
 * its holder and confirmed it, until the holder lets go of it or is gone.
 *
 * - Owner to user: the owner counts the copy when it packs it; nothing else is said.
 * - User to user: the receiver asks the owner (`fork`), who confirms, and passes the confirmation on to the sender. Until
 *   then the sender's own copy stays, so that the object does.
 * - User to owner: the owner counts a copy of its own, and confirms to the sender.
 * - Creation: the answer to it confirms. A creation that comes after its reference was let go of is refused.
 *
 * Workers that share references say `here` when they have nothing else to say; who stays silent for the lease is gone,
 * unless others vouch for it.
 * Pure: it sends and frees through its effects, and the clock is given. Carries guarantees G1 and G2.
 */
import { ControlStream } from './control-stream.ts';
import { HeldObjects, type ObjectEffects } from './held-objects.ts';
import { type ForkId, makerOf, type RRefId } from './reference-ids.ts';
import { HERE, type Notice, type NoticePacket } from './reference-notices.ts';

/** Why a copy cannot be used any more. */
export type Loss = 'freed' | 'owner-gone';

export interface ProtocolEffects extends ObjectEffects {
  /** There is something to send or to wait for: call `flush` soon. */
  wake(): void;
  send(peer: number, packet: NoticePacket): void;
  /** The owner knows this copy. */
  confirmed(fork: ForkId): void;
  lost(fork: ForkId, why: Loss): void;
  /** How many leases of silence are borne from this peer. Default: 1. */
  leases?(peer: number): number;
  /** The peer was silent for that long: end its connection. */
  expire(peer: number): void;
}

interface Copy {
  readonly id: RRefId;
  readonly owner: number;
  /** The user's handle, calls under way through it, and children that are not confirmed. */
  holds: number;
  isConfirmed: boolean;
}

interface PeerState {
  readonly stream: ControlStream<Notice>;
  /** How often this worker has looked and heard nothing since the time before. */
  silence: number;
}

type Count = 'owned' | 'shared' | 'forks' | 'copies' | 'pending' | 'children';

/** How often a worker looks within a lease: counted in looks, so that one that was blocked itself blames nobody. */
const LOOKS = 4;
const NEVER = Number.POSITIVE_INFINITY;
const { min } = Math;

export class ReferenceProtocol {
  readonly #self: number;
  readonly #effects: ProtocolEffects;
  readonly #lookMs: number;
  readonly #now: () => number;
  readonly #objects: HeldObjects;
  readonly #copies = new Map<ForkId, Copy>();
  /** Copies on their way from here to other users. */
  readonly #children = new Map<ForkId, { readonly parent: ForkId; readonly to: number }>();
  readonly #peers = new Map<number, PeerState>();
  readonly #gone = new Set<number>();
  #lookAt = NEVER;

  /** @param self rank of the worker; @param now ms of a clock that never goes back */
  constructor(self: number, effects: ProtocolEffects, leaseMs: number, now: () => number) {
    this.#self = self;
    this.#effects = effects;
    this.#objects = new HeldObjects(self, (rank) => this.#gone.has(rank), effects);
    this.#lookMs = leaseMs / LOOKS;
    this.#now = now;
  }

  counts(): Readonly<Record<Count, number>> {
    const users = [...this.#copies.values()].filter(({ owner }) => owner !== this.#self);
    return {
      ...this.#objects.counts(),
      copies: users.length,
      pending: users.filter(({ isConfirmed }) => !isConfirmed).length,
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
    return this.#objects.borrow(id);
  }

  giveBack(id: RRefId): void {
    this.#objects.giveBack(id);
  }

  // Copies of this worker.

  /** This worker asks `owner` for a new object, or has made one itself. */
  begin(id: RRefId, fork: ForkId, owner: number): void {
    const isOwn = owner === this.#self;
    this.#copies.set(fork, { id, owner, holds: 1, isConfirmed: isOwn });
    if (isOwn) this.#objects.hold(id, fork, owner);
    else this.#meet(owner);
  }

  /** The creation was answered. */
  created(fork: ForkId): void {
    this.#confirm(fork);
  }

  /** A copy came in a message. Its fate is told by the effects unless it is known at once. */
  arrive(id: RRefId, fork: ForkId, owner: number): 'confirmed' | 'pending' | Loss {
    const maker = makerOf(fork);
    const isOwn = owner === this.#self;
    const isGone = this.#gone.has(owner);
    if (maker !== owner) {
      if (isOwn || isGone) this.#tell(maker, 'confirm', id, fork);
      else this.#tell(owner, 'fork', id, fork);
    }
    if (isGone) return 'owner-gone';
    if (isOwn && !this.#objects.take(id, fork, maker)) return 'freed';
    const isConfirmed = isOwn || maker === owner;
    this.#copies.set(fork, { id, owner, holds: 1, isConfirmed });
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
    const state = this.#peer(peer);
    state.silence = 0;
    for (const notice of state.stream.accept(packet, this.#now())) this.#heed(peer, notice);
    this.#effects.wake();
  }

  /** A worker is gone with all that it held. */
  peerGone(rank: number): void {
    this.#gone.add(rank);
    this.#peers.delete(rank);
    for (const [fork, copy] of this.#copies) {
      if (copy.owner === rank) this.#lose(fork, copy, 'owner-gone');
    }
    for (const [fork, { parent, to }] of this.#children) {
      if (to === rank || !this.#copies.has(parent)) this.#childDone(fork);
    }
    this.#objects.dropHolder(rank);
  }

  /** A worker of this rank is there, or there again. */
  peerHere(rank: number): void {
    this.#gone.delete(rank);
  }

  /** Sends what is to be sent now. @returns when to call again unless woken before */
  flush(): number {
    const now = this.#now();
    if (now >= this.#lookAt) this.#look(now);
    let dueAt = this.#lookAt;
    for (const [peer, { stream }] of this.#peers) {
      for (let packet = stream.take(now); packet !== undefined; packet = stream.take(now)) {
        this.#effects.send(peer, packet);
      }
      dueAt = min(dueAt, stream.dueAt);
    }
    return dueAt;
  }

  #heed(peer: number, [what, id, fork]: Notice): void {
    switch (what) {
      case 'fork': {
        const isCounted = this.#objects.count(id, fork, peer);
        return this.#tell(peer, isCounted ? 'confirm' : 'refuse', id, fork);
      }
      case 'drop':
        return this.#objects.drop(id, fork, peer);
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
    if (rank !== this.#self) this.#peer(rank);
  }

  #tell(peer: number, ...notice: Notice): void {
    if (this.#gone.has(peer)) return;
    this.#peer(peer).stream.push(notice);
    this.#effects.wake();
  }

  #peer(rank: number): PeerState {
    const known = this.#peers.get(rank);
    if (known !== undefined) return known;
    const state: PeerState = { stream: new ControlStream(), silence: 0 };
    this.#peers.set(rank, state);
    if (this.#lookAt === NEVER) {
      this.#lookAt = this.#now() + this.#lookMs;
      this.#effects.wake();
    }
    return state;
  }

  /** Says something to everyone with whom references are shared, and gives up who has not for too long. */
  #look(now: number): void {
    this.#lookAt = now + this.#lookMs;
    const sharing = this.#objects.holders();
    for (const { owner } of this.#copies.values()) sharing.add(owner);
    for (const { to } of this.#children.values()) sharing.add(to);
    for (const [rank, state] of [...this.#peers]) {
      if (!sharing.has(rank) && state.stream.isSettled) state.silence = 0;
      else if (state.silence >= LOOKS * (this.#effects.leases?.(rank) ?? 1)) {
        this.#effects.expire(rank);
      } else {
        state.silence++;
        if (state.stream.isSettled) this.#tell(rank, ...HERE);
      }
    }
  }
}
