/**
 * One worker's end of the control messages of a pair: each entry reaches the other end once and in order, although packets
 * may be lost, doubled, delayed and swapped. Entries are numbered, acknowledged by count, and sent again until they are;
 * what comes out of order is thrown away, since it comes again. Pure: the clock is an argument, and nothing is sent
 * from here. Knows nothing of what an entry says.
 */
import { GradwireError } from '../errors.ts';

export interface ControlPacket<Entry> {
  /** Number of the first entry; of the next one if there is none. */
  readonly first: number;
  /** How many entries of the other end have come. */
  readonly received: number;
  readonly entries: readonly Entry[];
}

/** A packet stays small enough to pass among large messages, and those after it do not overtake it. */
const MAX_ENTRIES = 256;
/** How long an acknowledgement waits for a packet that takes it along. */
export const ACK_DELAY_MS = 20;
const NEVER = Number.POSITIVE_INFINITY;
const FIRST_RESEND_MS = 500;
const RESEND_FACTOR = 2;
const LAST_RESEND_MS = 2_000;

const { max, min } = Math;

export class ControlStream<Entry> {
  /** Entries that have not been acknowledged, oldest first. */
  #unacknowledged: Entry[] = [];
  /** Number of the first of them; numbers begin at 1. */
  #first = 1;
  /** How many of them have been sent. */
  #sent = 0;
  #received = 0;
  #ackAt = NEVER;
  #resendAt = NEVER;
  #resendMs = FIRST_RESEND_MS;

  /** When `take` has something to give, unless there are new entries before. */
  get dueAt(): number {
    return min(this.#ackAt, this.#resendAt);
  }

  get hasNew(): boolean {
    return this.#sent < this.#unacknowledged.length;
  }

  /** Whether all that was said has been heard. */
  get isSettled(): boolean {
    return this.#unacknowledged.length === 0;
  }

  push(entry: Entry): void {
    this.#unacknowledged.push(entry);
  }

  /** What is to be sent now; call again until there is nothing. */
  take(now: number): ControlPacket<Entry> | undefined {
    if (now >= this.#resendAt) {
      this.#sent = 0;
      this.#resendMs = min(this.#resendMs * RESEND_FACTOR, LAST_RESEND_MS);
      this.#resendAt = NEVER;
    }
    if (!this.hasNew && now < this.#ackAt) return undefined;
    const entries = this.#unacknowledged.slice(this.#sent, this.#sent + MAX_ENTRIES);
    const first = this.#first + this.#sent;
    this.#sent += entries.length;
    this.#ackAt = NEVER;
    if (entries.length > 0) this.#resendAt = min(this.#resendAt, now + this.#resendMs);
    return { first, received: this.#received, entries };
  }

  /**
   * The entries of a packet that are new, in order.
   * @throws GradwireError `protocol_error` if it acknowledges what was not sent
   */
  accept({ first, received, entries }: ControlPacket<Entry>, now: number): readonly Entry[] {
    this.#acknowledge(received, now);
    if (entries.length === 0) return entries;
    // Also for what came before: the acknowledgement may have been lost.
    this.#ackAt = min(this.#ackAt, now + ACK_DELAY_MS);
    const known = this.#received + 1 - first;
    if (known < 0 || known >= entries.length) return [];
    this.#received = first + entries.length - 1;
    return known === 0 ? entries : entries.slice(known);
  }

  #acknowledge(received: number, now: number): void {
    const count = received - this.#first + 1;
    if (count <= 0) return;
    if (count > this.#unacknowledged.length) {
      throw new GradwireError('protocol_error', 'a peer acknowledges what was not sent to it');
    }
    this.#unacknowledged.splice(0, count);
    this.#first += count;
    this.#sent = max(0, this.#sent - count);
    this.#resendMs = FIRST_RESEND_MS;
    this.#resendAt = this.#sent > 0 ? now + this.#resendMs : NEVER;
  }
}
