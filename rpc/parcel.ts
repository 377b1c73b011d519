/** A message between its making and its leaving: what it is, how far it has come, and what to put back if it never leaves. */
import type { MessageKind } from './message.ts';
import type { Outgoing, Stage } from './outbox.ts';
import type { Packet } from './packet.ts';

/** How a message goes: held in turn, at once with the user's requests, or beside them. */
export type Way = 'held' | 'nested' | 'free';

/** What the way of a message, once taken, does for it. */
interface Carrier {
  settled(parcel: Parcel): void;
  withdraw(parcel: Parcel): boolean;
  cancel(parcel: Parcel): void;
}

const NOTHING: readonly (() => void)[] = [];
const NO_BYTES: Packet = { parts: [], total: 0 };

/** What a message is, beside its packet. */
interface Address {
  readonly kind: MessageKind;
  readonly id: number;
  readonly order?: readonly string[] | undefined;
  /** Puts back what packing has changed. */
  readonly undo?: readonly (() => void)[];
  /** The message will not be sent. */
  readonly failed?: (error: Error) => void;
}

/** A message on its way. */
export class Parcel implements Outgoing {
  readonly kind: MessageKind;
  /** That of the request that it is, or is about. */
  id: number;
  readonly order: readonly string[] | undefined;
  packet: Packet = NO_BYTES;
  stage: Stage = 'held';
  followUp: Outgoing | undefined;
  way: Way = 'free';
  /** The lane that it goes by: a later holder of the peer's rank has another. */
  lane: Carrier | undefined;
  /** Waits in the lane. */
  isHeld = false;
  /** Counts against the budget. */
  isInFlight = false;
  /** The packet, while it is held or still being read from a device. */
  source: Packet | Promise<Packet>;
  readonly #undo: readonly (() => void)[];
  readonly #failed: ((error: Error) => void) | undefined;

  constructor(
    { kind, id, order, undo = NOTHING, failed }: Address,
    source: Packet | Promise<Packet>,
  ) {
    this.kind = kind;
    this.id = id;
    this.order = order;
    this.source = source;
    this.#undo = undo;
    this.#failed = failed;
  }

  left(): void {
    this.packet = NO_BYTES;
    this.source = NO_BYTES;
  }

  /** It will not be sent: what packing has changed is put back. */
  drop(): void {
    this.stage = 'withdrawn';
    this.left();
    for (const step of this.#undo) step();
  }

  /** It has left and will not arrive. */
  lost(): void {
    this.drop();
    this.stage = 'gone';
  }

  fail(error: Error): void {
    this.drop();
    this.#failed?.(error);
  }
}
