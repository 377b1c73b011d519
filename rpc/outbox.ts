/**
 * Decides what goes on a connection next. Small messages of one tick leave together in one chunk; large ones go in
 * segments, at most two of them taking turns, and small messages pass between the segments. Nothing is sent beyond the
 * credit that the receiver gave, and a message over `EAGER_BYTES` waits until the receiver has made room for it. Messages
 * that share an order key arrive in the order in which they were pushed (guarantee G7).
 * Pure: writes through a function, is told about credit, and never looks at a clock.
 */
import { frameBytes, HEADER_BYTES, writeHeader } from './frame.ts';
import type { MessageKind } from './message.ts';
import { numberPacket } from './number-packet.ts';
import type { Packet } from './packet.ts';
import { PartReader } from './part-reader.ts';
import { Queue } from './queue.ts';

/** Largest message that travels whole among others, in bytes. */
export const SMALL_BYTES: number = 64 * 1024;
/** Largest message that is sent without asking for room first, in bytes. */
export const EAGER_BYTES: number = 4 * 1024 * 1024;
/** What a receiver lets come unasked before it must hand out more, in bytes. */
export const INITIAL_CREDIT_BYTES: number = 64 * 1024 * 1024;
/** Offers that may wait for room at once. */
export const MAX_OFFERS: number = 10_000;
const CHUNK_BYTES = 256 * 1024;
const INTERLEAVED = 2;

export interface Outgoing {
  readonly kind: MessageKind;
  /** Id of the request that the message is or answers; 0 for notices. */
  readonly id: number;
  readonly packet: Packet;
  /** What the message is about: messages that share a key arrive in the order in which they were pushed. */
  readonly order?: readonly string[] | undefined;
  /** How far it has come. */
  stage?: Stage;
  /** What is to be sent when the last of it has left. */
  followUp?: Outgoing | undefined;
  /** All of it has left: its bytes are not needed any more. */
  left?(): void;
  /** It is lost on the way, by an injected fault. */
  lost?(): void;
}

/** Held before the outbox, queued in it, begun, gone in whole, or taken back before any of it was sent. */
export type Stage = 'held' | 'queued' | 'begun' | 'gone' | 'withdrawn';

interface Bulk {
  readonly message: Outgoing;
  source: PartReader;
  offset: number;
  readonly total: number;
  /** The receiver knows that it wants to come. */
  isOffered: boolean;
  /** Asked for room and not yet let in. */
  isWaiting: boolean;
  /** Has room of its own: takes no credit. */
  isGranted: boolean;
}

export class Outbox {
  readonly #segmentBytes: number;
  readonly #write: (chunk: Uint8Array) => boolean;
  #credit = INITIAL_CREDIT_BYTES;
  readonly #urgent = new Queue<Outgoing>();
  readonly #small = new Queue<Outgoing>(({ stage }) => stage === 'withdrawn');
  #bulk: Bulk[] = [];
  #turn = 0;
  #queuedBytes = 0;
  /** Offers that wait for room. */
  #offers = 0;
  /** Large messages that cannot be offered yet. */
  readonly #unoffered = new Queue<Bulk>(({ message }) => message.stage === 'withdrawn');

  /** @param write sends a chunk; false: nothing more until `pump` is called again */
  constructor(segmentBytes: number, write: (chunk: Uint8Array) => boolean) {
    this.#segmentBytes = segmentBytes;
    this.#write = write;
  }

  get isEmpty(): boolean {
    if (this.#urgent.length + this.#small.length > 0) return false;
    return this.#bulk.every(({ message }) => message.stage === 'withdrawn');
  }

  /** Bytes of the messages that wait; those of the connection itself do not count. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** Queues a message of the connection itself, ahead of all others and outside the credit. */
  pushUrgent(kind: MessageKind, packet: Packet): void {
    this.#urgent.push({ kind, id: 0, packet });
  }

  push(message: Outgoing): void {
    const { total, parts } = message.packet;
    message.stage = 'queued';
    this.#queuedBytes += total;
    if (total <= SMALL_BYTES && !this.#bulk.some((earlier) => conflict(earlier.message, message))) {
      this.#small.push(message);
      return;
    }
    const asks = total > EAGER_BYTES;
    const source = new PartReader(parts);
    const state = { isOffered: false, isWaiting: asks, isGranted: false };
    const bulk = { message, source, offset: 0, total, ...state };
    this.#bulk.push(bulk);
    if (!asks) return;
    this.#unoffered.push(bulk);
    this.#offer();
  }

  /** Takes a message back of which nothing has been sent; false if it is too late. */
  withdraw(message: Outgoing): boolean {
    if (message.stage !== 'queued') return false;
    message.stage = 'withdrawn';
    this.#queuedBytes -= message.packet.total;
    const index = this.#bulk.findIndex((bulk) => bulk.message === message);
    const bulk = this.#bulk[index];
    if (bulk === undefined) {
      this.#small.died();
      return true;
    }
    // The receiver makes room for what was offered: it hears of the end when the offer's turn comes.
    if (bulk.isOffered) bulk.source = new PartReader([]);
    else {
      if (bulk.isWaiting) this.#unoffered.died();
      this.#bulk.splice(index, 1);
    }
    if (bulk.isGranted) this.#decline(bulk);
    return true;
  }

  addCredit(bytes: number): void {
    this.#credit += bytes;
  }

  /** The receiver has room for the oldest offer. False if there is none: the peer broke the protocol. */
  grant(): boolean {
    const bulk = this.#bulk.find((entry) => entry.isWaiting);
    if (bulk === undefined) return false;
    this.#offers--;
    this.#offer();
    bulk.isWaiting = false;
    bulk.isGranted = true;
    if (bulk.message.stage === 'withdrawn') this.#decline(bulk);
    return true;
  }

  /**
   * Sends what may go now, up to `budgetBytes`.
   * @returns whether more could go at once: call again on the next tick
   */
  pump(budgetBytes: number): boolean {
    let left = budgetBytes;
    for (;;) {
      if (left <= 0) return true;
      const chunk = this.#nextSmall() ?? this.#nextSegment();
      if (chunk === undefined) return false;
      left -= chunk.length;
      if (!this.#write(chunk)) return false;
    }
  }

  #offer(): void {
    if (this.#offers >= MAX_OFFERS) return;
    const bulk = this.#unoffered.shift();
    if (bulk === undefined) return;
    this.#offers++;
    bulk.isOffered = true;
    this.pushUrgent('offer', numberPacket(bulk.total));
  }

  /** The room that was made for a message is not needed. */
  #decline(bulk: Bulk): void {
    this.#bulk.splice(this.#bulk.indexOf(bulk), 1);
    this.pushUrgent('decline', numberPacket(bulk.total));
  }

  #nextSmall(): Buffer | undefined {
    const batch: Outgoing[] = [];
    let bytes = 0;
    const take = (queue: Queue<Outgoing>, isFree: boolean): void => {
      for (let next = queue.peek(); next !== undefined; next = queue.peek()) {
        const { total } = next.packet;
        if (!isFree && total > this.#credit) return;
        if (bytes > 0 && bytes + frameBytes(total) > CHUNK_BYTES) return;
        if (!isFree) this.#credit -= total;
        bytes += frameBytes(total);
        batch.push(next);
        queue.shift();
      }
    };
    take(this.#urgent, true);
    take(this.#small, false);
    if (batch.length === 0) return undefined;
    const chunk = Buffer.allocUnsafe(bytes);
    let position = 0;
    for (const message of batch) {
      const { kind, id, packet } = message;
      const { total } = packet;
      writeHeader(chunk, position, { kind, id, length: total, offset: 0, total });
      new PartReader(packet.parts).read(chunk, position + HEADER_BYTES, total);
      position += frameBytes(total);
      if (message.stage === 'queued') this.#gone(message);
    }
    return chunk;
  }

  #nextSegment(): Buffer | undefined {
    const active = this.#active();
    for (let tries = 0; tries < active.length; tries++) {
      const bulk = active[this.#turn++ % active.length] as Bulk;
      const { message, offset, total } = bulk;
      const length = Math.min(this.#segmentBytes, total - offset);
      if (!bulk.isGranted) {
        if (length > this.#credit) continue;
        this.#credit -= length;
      }
      const chunk = Buffer.allocUnsafe(frameBytes(length));
      const { kind, id } = message;
      writeHeader(chunk, 0, { kind, id, length, offset, total });
      bulk.source.read(chunk, HEADER_BYTES, length);
      bulk.offset += length;
      message.stage = 'begun';
      if (bulk.offset === total) {
        this.#bulk.splice(this.#bulk.indexOf(bulk), 1);
        this.#gone(message);
      }
      return chunk;
    }
    return undefined;
  }

  #gone(message: Outgoing): void {
    message.stage = 'gone';
    this.#queuedBytes -= message.packet.total;
    message.left?.();
    if (message.followUp !== undefined) this.push(message.followUp);
  }

  /** The messages whose segments take turns: those begun, then the next that have nothing to wait for. */
  #active(): Bulk[] {
    const active = this.#bulk.filter((bulk) => bulk.offset > 0);
    for (let i = 0; i < this.#bulk.length && active.length < INTERLEAVED; i++) {
      const next = this.#bulk[i] as Bulk;
      const mustWait = next.isWaiting || next.offset > 0;
      if (mustWait || this.#hasEarlier(i, next)) continue;
      active.push(next);
    }
    return active;
  }

  /** Whether a message before `index` must arrive before `next`. */
  #hasEarlier(index: number, { message }: Bulk): boolean {
    for (let i = 0; i < index; i++) {
      const earlier = (this.#bulk[i] as Bulk).message;
      if (earlier.stage !== 'withdrawn' && conflict(earlier, message)) return true;
    }
    return false;
  }
}

/** Whether the two must arrive in the order in which they were pushed. */
export function conflict(a: Pick<Outgoing, 'order'>, b: Pick<Outgoing, 'order'>): boolean {
  return a.order?.some((key) => b.order?.includes(key)) ?? false;
}
