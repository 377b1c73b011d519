/**
 * The way to one peer, from a packet to its channel. Requests of the user that are sent and not answered are in flight; over
 * the budget further ones are held here, in order, and over the limit of those they are refused. Requests made in handling
 * another are never held: every request in flight then depends on none that is held, so that calls which call back cannot
 * dead-lock, whatever the budget. What shares an order key with a held message does not overtake it (guarantee G7).
 * Carries promises P2 and P6. Knows nothing of answers.
 */
import { GradwireError } from '../errors.ts';
import type { PeerChannel } from './channel.ts';
import { numberPacket } from './number-packet.ts';
import type { Packet } from './packet.ts';
import { Parcel, type Way } from './parcel.ts';
import { goneError } from './peer-loss.ts';
import { Queue } from './queue.ts';

export interface LaneLimits {
  /** Requests of the user to one peer that may be in flight. */
  readonly maxInFlightCalls: number;
  /** Requests of the user to one peer that may be held. */
  readonly maxQueuedCalls: number;
}

/** Bytes that wait to leave at which a peer takes no more calls, as `writable` tells it. */
const FULL_BYTES = 64 * 1024 * 1024;

export class Lane {
  channel: PeerChannel | undefined;
  readonly #name: () => string;
  readonly #limits: LaneLimits;
  readonly #held = new Queue<Parcel>(({ isHeld }) => !isHeld);
  /** How many of those held have an order key. */
  readonly #heldKeys = new Map<string, number>();
  /** Requests among those held: the rest are notices that must not overtake them. */
  #heldCalls = 0;
  #inFlight = 0;
  /** The message that is being read from a device: later ones wait for it. */
  #reading: Promise<void> | undefined;
  /** Why the connection is over. */
  loss: Error | undefined;
  #onRoom: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];

  /** @param name gives the peer's, for messages */
  constructor(name: () => string, limits: LaneLimits) {
    this.#name = name;
    this.#limits = limits;
  }

  get isOpen(): boolean {
    return this.channel?.isOpen ?? false;
  }

  /** Whether a request of the user would be sent at once. */
  get hasRoom(): boolean {
    return this.#heldCalls === 0 && this.#inFlight < this.#limits.maxInFlightCalls;
  }

  /** Requests that are held. */
  get heldCount(): number {
    return this.#heldCalls;
  }

  /** Requests of the user in flight. */
  get inFlightCount(): number {
    return this.#inFlight;
  }

  /** @throws GradwireError `unavailable` */
  assertOpen(what: string): void {
    if (!this.isOpen) throw this.#gone(`${what} was not sent`);
  }

  /** Why a request that would go this way is refused now, if it is. */
  refusal(way: Way, what: string): GradwireError | undefined {
    if (way === 'free' || this.hasRoom) return undefined;
    const { maxInFlightCalls, maxQueuedCalls } = this.#limits;
    const held = this.#heldCalls;
    const isOver =
      way === 'held'
        ? held >= maxQueuedCalls
        : this.#inFlight + held >= maxInFlightCalls + maxQueuedCalls;
    if (!isOver) return undefined;
    const message =
      `${what} was not sent: ${this.#inFlight} calls to ${this.#name()} wait for their answer and ${held} to be sent ` +
      '(maxInFlightCalls, maxQueuedCalls). Await rpc.writable(to) between calls';
    const details = { peer: this.#name(), stage: 'queue', maybeExecuted: false };
    return new GradwireError('overloaded', message, details);
  }

  /** Resolves when there is room, for bytes too; rejects when the peer goes. */
  writable(): Promise<void> {
    if (!this.isOpen) return Promise.reject(this.#gone('it takes no calls'));
    if (this.#isWritable) return Promise.resolve();
    return new Promise((resolve, reject) => this.#onRoom.push({ resolve, reject }));
  }

  /** Something has left: tells those who wait for room, if there is any. */
  tellRoom(): void {
    if (this.#onRoom.length === 0 || !this.#isWritable) return;
    for (const { resolve } of this.#onRoom.splice(0)) resolve();
  }

  /** Sends a message, now or in its turn. A failure is told to the parcel. */
  post(parcel: Parcel, way: Way): void {
    parcel.way = way;
    parcel.lane = this;
    if (way === 'held' && !this.hasRoom) return this.#hold(parcel);
    if (this.#heldKeys.size > 0 && parcel.order?.some((key) => this.#heldKeys.has(key))) {
      if (way === 'free') return this.#hold(parcel);
      this.#promote(parcel.order);
    }
    this.#forward(parcel);
  }

  /** Takes a message back of which nothing has been sent; false if it is too late. */
  withdraw(parcel: Parcel): boolean {
    const { stage, isHeld } = parcel;
    if (stage === 'queued') {
      if (this.channel?.withdraw(parcel) !== true) return false;
    } else if (stage !== 'held') return false;
    parcel.drop();
    if (isHeld) {
      this.#release(parcel);
      this.#held.died();
      this.#admit();
    }
    return true;
  }

  /** Says a number about the request of this id; lost if the peer is gone. */
  tell(kind: 'cancel' | 'streamCredit', id: number, number: number): void {
    if (this.isOpen) this.post(new Parcel({ kind, id }, numberPacket(number)), 'free');
  }

  /** Tells the peer that nobody waits for the answer to a request of which something was sent. */
  cancel(parcel: Parcel): void {
    const { id, stage } = parcel;
    if (stage === 'gone') return this.tell('cancel', id, 0);
    // It would pass between the segments.
    parcel.followUp = { kind: 'cancel', id, packet: numberPacket(0) };
  }

  /** A request no longer waits for its answer. */
  settled(parcel: Parcel): void {
    if (!parcel.isInFlight) return;
    parcel.isInFlight = false;
    this.#inFlight--;
    this.#admit();
  }

  /** The connection is over: what is held will not be sent. */
  clear(loss: Error | undefined): void {
    this.loss = loss;
    for (const parcel of this.#held.all()) {
      parcel.isHeld = false;
      parcel.stage = 'withdrawn';
    }
    this.#held.clear();
    this.#heldKeys.clear();
    this.#heldCalls = 0;
    const error = this.#gone('it takes no calls');
    for (const { reject } of this.#onRoom.splice(0)) reject(error);
  }

  #hold(parcel: Parcel): void {
    const { order = [], source, way } = parcel;
    // Who sends it later hears of a failure; until then it is no unhandled one.
    if (source instanceof Promise) source.catch(() => {});
    for (const key of order) this.#heldKeys.set(key, (this.#heldKeys.get(key) ?? 0) + 1);
    if (way === 'held') this.#heldCalls++;
    parcel.isHeld = true;
    this.#held.push(parcel);
  }

  /** The parcel is held no longer. */
  #release(parcel: Parcel): void {
    parcel.isHeld = false;
    if (parcel.way === 'held') this.#heldCalls--;
    for (const key of parcel.order ?? []) {
      const left = (this.#heldKeys.get(key) ?? 1) - 1;
      if (left > 0) this.#heldKeys.set(key, left);
      else this.#heldKeys.delete(key);
    }
  }

  /** Sends what is held, as far as the budget goes. */
  #admit(): void {
    const { maxInFlightCalls } = this.#limits;
    for (let next = this.#held.peek(); next !== undefined; next = this.#held.peek()) {
      if (next.way === 'held' && this.#inFlight >= maxInFlightCalls) return;
      this.#held.shift();
      this.#release(next);
      this.#forward(next);
    }
    this.tellRoom();
  }

  get #isWritable(): boolean {
    return this.hasRoom && (this.channel?.queuedBytes ?? 0) < FULL_BYTES;
  }

  /** Sends what is held and shares `order`, directly or not, beyond the budget: a nested request waits for nothing. */
  #promote(order: readonly string[]): void {
    const keys = new Set(order);
    const first: Parcel[] = [];
    for (const held of this.#held.all().reverse()) {
      if (!held.order?.some((key) => keys.has(key))) continue;
      for (const key of held.order) keys.add(key);
      first.push(held);
    }
    for (const held of first.reverse()) {
      this.#release(held);
      this.#held.died();
      this.#forward(held);
    }
  }

  /** Hands a message to the channel, behind those that are still being read from a device. */
  #forward(parcel: Parcel): void {
    if (parcel.way !== 'free') {
      parcel.isInFlight = true;
      this.#inFlight++;
    }
    const { source } = parcel;
    if (this.#reading === undefined && !(source instanceof Promise)) {
      return this.#send(parcel, source);
    }
    const read = Promise.all([source, this.#reading])
      .then(
        ([packet]) => this.#send(parcel, packet),
        (error) => parcel.fail(error),
      )
      .finally(() => {
        if (this.#reading === read) this.#reading = undefined;
      });
    this.#reading = read;
  }

  #send(parcel: Parcel, packet: Packet): void {
    if (parcel.stage === 'withdrawn') return;
    try {
      this.assertOpen('the message');
      parcel.packet = packet;
      this.channel?.send(parcel);
    } catch (error) {
      parcel.fail(error as Error);
    }
  }

  #gone(what: string): GradwireError {
    return goneError(this.#name(), this.loss, what);
  }
}
