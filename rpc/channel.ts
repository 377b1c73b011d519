/**
 * One pair of workers' ordered exchange of messages over a connection: frames, credits and the farewell. Knows nothing of
 * what a message means. Sending is at most once: what was not received when the connection ends is lost.
 */
import { GradwireError } from '../errors.ts';
import { type Frame, FrameReader } from './frame.ts';
import { Inbox } from './inbox.ts';
import { isConnectionKind, type MessageKind } from './message.ts';
import { numberPacket, readNumber } from './number-packet.ts';
import { Outbox, type Outgoing } from './outbox.ts';
import { fencedOff, PeerLoss } from './peer-loss.ts';
import type { Connection } from './transport.ts';

/** Bytes sent per turn of the event loop before others get theirs. */
const BUDGET_BYTES = 1024 * 1024;
/** How long a peer that takes nothing may hold up the farewell. */
const CLOSE_TIMEOUT_MS = 1_000;
/** Longest part of a message in one frame that is accepted. */
const MAX_PART_BYTES = 1024 * 1024;

export interface ChannelHandlers {
  /** A message came; the view is valid during the call only. Must not throw. */
  message(kind: MessageKind, id: number, bytes: Uint8Array): void;
  /** Something has left. Must not throw. */
  left(): void;
  /** The channel is over, once. `isFarewell`: the peer said goodbye or this side closed it. */
  close(isFarewell: boolean, reason: Error | undefined): void;
}

/** What carries whole messages to one peer. */
export interface PeerChannel {
  readonly isOpen: boolean;
  readonly queuedBytes: number;
  send(message: Outgoing): void;
  withdraw(message: Outgoing): boolean;
  close(): Promise<void>;
  cut(reason: Error): void;
}

export class Channel implements PeerChannel {
  readonly #connection: Connection;
  readonly #handlers: ChannelHandlers;
  readonly #outbox: Outbox;
  readonly #inbox: Inbox;
  readonly #maxMessageBytes: number;
  #state: 'open' | 'leaving' | 'closed' = 'open';
  #peerLeft = false;
  #isBlocked = false;
  #isScheduled = false;
  #patience: NodeJS.Timeout | undefined;
  #settle: () => void = () => {};
  readonly #over: Promise<void> = new Promise((resolve) => {
    this.#settle = resolve;
  });

  constructor(connection: Connection, maxMessageBytes: number, handlers: ChannelHandlers) {
    this.#connection = connection;
    this.#handlers = handlers;
    this.#maxMessageBytes = maxMessageBytes;
    this.#outbox = new Outbox(connection.segmentBytes, (chunk) => {
      this.#isBlocked = !connection.write(chunk);
      return !this.#isBlocked;
    });
    this.#inbox = new Inbox(maxMessageBytes, {
      message: (kind, id, bytes) => handlers.message(kind, id, bytes),
      credit: (bytes) => this.#urgent('credit', numberPacket(bytes)),
      grant: () => this.#urgent('grant', numberPacket(0)),
    });
    const reader = new FrameReader(MAX_PART_BYTES, (frame) => this.#frame(frame));
    connection.start({
      data: (chunk) => this.#guarded(() => reader.push(chunk)),
      drain: () => {
        this.#isBlocked = false;
        this.#pump();
      },
      close: (reason) => this.#closed(reason),
    });
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** Bytes of messages that wait to leave. */
  get queuedBytes(): number {
    return this.#outbox.queuedBytes;
  }

  /**
   * Queues a message; small ones of one tick leave together.
   * @throws GradwireError `unavailable` when the connection is over, `message_too_large`
   */
  send(message: Outgoing): void {
    if (!this.isOpen) throw new GradwireError('unavailable', 'the connection is over');
    const { total } = message.packet;
    if (total > this.#maxMessageBytes) {
      throw new GradwireError(
        'message_too_large',
        `a message of ${total} bytes is over the limit of ${this.#maxMessageBytes} (maxMessageBytes)`,
        { maybeExecuted: false },
      );
    }
    this.#outbox.push(message);
    this.#schedule();
  }

  /** Takes a message back of which nothing has been sent; false if it is too late. */
  withdraw(message: Outgoing): boolean {
    if (!this.isOpen || !this.#outbox.withdraw(message)) return false;
    this.#schedule();
    return true;
  }

  /** Sends what is queued, says goodbye and ends the connection; resolves when it is over. Bounded. */
  close(): Promise<void> {
    if (this.isOpen) {
      this.#state = 'leaving';
      this.#outbox.pushUrgent('goodbye', numberPacket(0));
      this.#patience = setTimeout(() => this.#connection.close(), CLOSE_TIMEOUT_MS);
      this.#pump();
    }
    return this.#over;
  }

  /**
   * Ends the channel at once, as if it had broken; what comes from the other side is not heard any more. A peer that may
   * come back is told that it was given up, if there is room on the way to it.
   */
  cut(reason: Error): void {
    if (this.#state === 'closed') return;
    if (reason instanceof PeerLoss && reason.fenceMs !== undefined) {
      this.#outbox.pushUrgent('fenced', numberPacket(Math.round(reason.fenceMs)));
      this.#pump();
    }
    this.#connection.close();
    this.#closed(reason);
  }

  #urgent(kind: MessageKind, packet: Outgoing['packet']): void {
    if (!this.isOpen) return;
    this.#outbox.pushUrgent(kind, packet);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    process.nextTick(() => this.#pump());
  }

  #pump(): void {
    this.#isScheduled = false;
    if (this.#state === 'closed' || this.#isBlocked) return;
    const hasMore = this.#outbox.pump(BUDGET_BYTES);
    this.#handlers.left();
    if (hasMore) {
      this.#isScheduled = true;
      setImmediate(() => this.#pump());
      return;
    }
    if (this.#state === 'leaving' && (this.#outbox.isEmpty || this.#peerLeft)) {
      this.#connection.close();
    }
  }

  #frame(frame: Frame): void {
    if (this.#state === 'closed') return;
    if (!isConnectionKind(frame.kind)) return this.#inbox.frame(frame);
    const number = readNumber(frame.part);
    if (frame.kind === 'credit') this.#outbox.addCredit(number);
    else if (frame.kind === 'offer') this.#inbox.offer(number);
    else if (frame.kind === 'decline') this.#inbox.decline(number);
    else if (frame.kind === 'goodbye') this.#peerLeft = true;
    else if (frame.kind === 'fenced') return this.cut(fencedOff(number));
    else if (!this.#outbox.grant())
      throw new GradwireError('protocol_error', 'a grant unasked for');
    this.#schedule();
  }

  /** A peer that breaks the protocol loses its connection, and nothing else happens here. */
  #guarded(receive: () => void): void {
    try {
      receive();
    } catch (error) {
      this.cut(error as Error);
    }
  }

  #closed(reason: Error | undefined): void {
    if (this.#state === 'closed') return;
    const isFarewell = this.#peerLeft || this.#state === 'leaving';
    this.#state = 'closed';
    clearTimeout(this.#patience);
    this.#settle();
    this.#handlers.close(isFarewell, reason);
  }
}
