/**
 * Whom one worker shares references with: a stream of notices to each, and for how long each was silent. Pure: it sends
 * through its effects, and the clock is given. Knows nothing of what a notice says.
 */
import { ControlStream } from './control-stream.ts';
import type { ProtocolEffects } from './reference-effects.ts';
import { HERE, type Notice, type NoticePacket } from './reference-notices.ts';

interface PeerState {
  readonly stream: ControlStream<Notice>;
  /** How often this worker has looked and heard nothing since the time before. */
  silence: number;
}

/** How often a worker looks within a lease: counted in looks, so that one that was blocked itself blames nobody. */
const LOOKS = 4;
const NEVER = Number.POSITIVE_INFINITY;
const { min } = Math;

export class ReferencePeers {
  readonly #effects: Pick<ProtocolEffects, 'wake' | 'send' | 'leases' | 'expire'>;
  readonly #lookMs: number;
  readonly #now: () => number;
  readonly #peers = new Map<number, PeerState>();
  #lookAt = NEVER;

  /** @param now ms of a clock that never goes back */
  constructor(
    effects: Pick<ProtocolEffects, 'wake' | 'send' | 'leases' | 'expire'>,
    leaseMs: number,
    now: () => number,
  ) {
    this.#effects = effects;
    this.#lookMs = leaseMs / LOOKS;
    this.#now = now;
  }

  /** From now on its silence counts. */
  meet(rank: number): void {
    this.#peer(rank);
  }

  push(rank: number, notice: Notice): void {
    this.#peer(rank).stream.push(notice);
  }

  /** What is new in a packet. @throws GradwireError `protocol_error` */
  accept(rank: number, packet: NoticePacket): readonly Notice[] {
    const state = this.#peer(rank);
    state.silence = 0;
    return state.stream.accept(packet, this.#now());
  }

  forget(rank: number): void {
    this.#peers.delete(rank);
  }

  /**
   * Sends what is to be sent now.
   *
   * @param sharing gives the ranks with which references are shared
   * @returns when to call again unless there is more to say before
   */
  flush(sharing: () => ReadonlySet<number>): number {
    const now = this.#now();
    if (now >= this.#lookAt) this.#look(now, sharing());
    let dueAt = this.#lookAt;
    for (const [peer, { stream }] of this.#peers) {
      for (let packet = stream.take(now); packet !== undefined; packet = stream.take(now)) {
        this.#effects.send(peer, packet);
      }
      dueAt = min(dueAt, stream.dueAt);
    }
    return dueAt;
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
  #look(now: number, sharing: ReadonlySet<number>): void {
    this.#lookAt = now + this.#lookMs;
    for (const [rank, state] of [...this.#peers]) {
      if (!sharing.has(rank) && state.stream.isSettled) state.silence = 0;
      else if (state.silence >= LOOKS * (this.#effects.leases?.(rank) ?? 1)) {
        this.#effects.expire(rank);
      } else {
        state.silence++;
        if (state.stream.isSettled) state.stream.push(HERE);
      }
    }
    this.#effects.wake();
  }
}
