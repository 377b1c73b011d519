/** The lanes of one worker, one per peer, and the channels under them. Knows nothing of what a message means. */

import type { tf } from '../tensor/index.ts';
import { Channel, type ChannelHandlers, type PeerChannel } from './channel.ts';
import { discard } from './discard.ts';
import { COMMON_EXTENSIONS } from './extensions.ts';
import type { WorkerFaults } from './faults/fault-plan.ts';
import { FaultyChannel, noneDoomed } from './faults/faulty-channel.ts';
import { Lane, type LaneLimits } from './lane.ts';
import type { MessageKind } from './message.ts';
import { type Message, type Packet, pack } from './packet.ts';
import { Parcel } from './parcel.ts';
import type { PeerExtensions } from './reference-extension.ts';
import type { Connection } from './transport.ts';

export interface LanesOptions {
  nameOf(peer: number): string;
  readonly maxMessageBytes: number;
  readonly limits: LaneLimits;
  readonly extensions: PeerExtensions;
  /** What befalls messages, in tests. */
  readonly faults?: WorkerFaults | undefined;
}

export class Lanes {
  readonly #options: LanesOptions;
  readonly #lanes = new Map<number, Lane>();
  /** All that are open: a worker has both ends of the connection to itself. */
  readonly #channels = new Set<PeerChannel>();
  readonly #doomed = noneDoomed();

  constructor(options: LanesOptions) {
    this.#options = options;
  }

  /** @param handlers of which `close` is not called if another connection has taken the place by then */
  attach(peer: number, connection: Connection, handlers: Omit<ChannelHandlers, 'left'>): void {
    // A rank may be given to another worker: what was meant for the last one never goes by the new lane.
    const lane = this.#add(peer);
    const channel = this.#open(peer, connection, {
      message: handlers.message,
      left: () => lane.tellRoom(),
      close: (isFarewell, reason) => {
        this.#channels.delete(channel);
        lane.channel = undefined;
        lane.clear(reason);
        if (this.#lanes.get(peer) === lane) handlers.close(isFarewell, reason);
      },
    });
    lane.channel = channel;
    this.#channels.add(channel);
  }

  #open(peer: number, connection: Connection, handlers: ChannelHandlers): PeerChannel {
    const { maxMessageBytes, extensions, faults, nameOf } = this.#options;
    if (faults === undefined) return new Channel(connection, maxMessageBytes, handlers);
    return new FaultyChannel(connection, handlers, {
      faults,
      peer,
      peerName: () => nameOf(peer),
      maxMessageBytes,
      lost: (bytes) => {
        discard(bytes, extensions.incoming);
        extensions.unconfirmed.length = 0;
      },
      doomed: this.#doomed,
    });
  }

  isConnected(peer: number): boolean {
    return this.#lanes.get(peer)?.isOpen ?? false;
  }

  to(peer: number): Lane {
    return this.#lanes.get(peer) ?? this.#add(peer);
  }

  /** Ends the connection to a peer that is heard no longer, at once; of one that is over, tells further calls why. */
  cut(peer: number, reason: Error): void {
    const lane = this.#lanes.get(peer);
    if (lane?.channel !== undefined) lane.channel.cut(reason);
    else if (lane !== undefined) lane.loss = reason;
  }

  #add(peer: number): Lane {
    const lane = new Lane(() => this.#options.nameOf(peer), this.#options.limits);
    this.#lanes.set(peer, lane);
    return lane;
  }

  /**
   * Takes a snapshot of a message to `peer`, as `pack` does.
   *
   * @param undo is filled with what must be done should the message not be sent after all
   */
  pack(
    peer: number,
    message: Message,
    undo: (() => void)[],
    meta: (tensors: readonly tf.Tensor[]) => unknown,
  ): Packet | Promise<Packet> {
    try {
      return pack(message, this.#options.extensions.outgoing(peer, undo), meta);
    } catch (error) {
      for (const step of undo) step();
      throw error;
    }
  }

  /** Sends a message that is not answered; it is lost if the peer is gone. */
  notify(peer: number, kind: MessageKind, head: unknown, order: readonly string[]): void {
    if (!this.isConnected(peer)) return;
    const packet = pack({ head, body: null, bodyName: 'notice' }, COMMON_EXTENSIONS, () => null);
    this.to(peer).post(new Parcel({ kind, id: 0, order }, packet), 'free');
  }

  /** Ends every connection in good order; bounded. */
  async close(): Promise<void> {
    await Promise.all([...this.#channels].map((channel) => channel.close()));
  }
}
