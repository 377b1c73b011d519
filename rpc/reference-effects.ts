/** What the protocol of references does to the world around it. Types alone. */
import type { ObjectEffects } from './held-objects.ts';
import type { ForkId } from './reference-ids.ts';
import type { NoticePacket } from './reference-notices.ts';

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
