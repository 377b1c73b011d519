/**
 * Puts segments together to messages, and bounds what a peer can make this side hold: more bytes than the credit, a
 * large message that was not let in, more offers than may wait, or more messages begun at once than the sender may interleave are a
 * `protocol_error`, noticed before anything is allocated (guarantee G8). Pure.
 */
import { GradwireError } from '../errors.ts';
import type { Frame } from './frame.ts';
import type { MessageKind } from './message.ts';
import { EAGER_BYTES, INITIAL_CREDIT_BYTES, MAX_OFFERS } from './outbox.ts';
import { Queue } from './queue.ts';

/** Credit is handed back in steps of this many bytes, to save messages. */
const CREDIT_STEP_BYTES = 1024 * 1024;
const MAX_BEGUN = 2;

interface Begun {
  readonly buffer: Buffer;
  filled: number;
}

export interface InboxHandlers {
  /** A whole message; the view is valid during the call only. */
  message(kind: MessageKind, id: number, bytes: Uint8Array): void;
  /** Tell the sender that it may send so many more bytes. */
  credit(bytes: number): void;
  /** Tell the sender that its oldest offer may come. */
  grant(): void;
}

export class Inbox {
  readonly #maxMessageBytes: number;
  readonly #handlers: InboxHandlers;
  readonly #begun = new Map<string, Begun>();
  readonly #offers = new Queue<number>();
  /** Lengths of the large messages let in and not yet begun. */
  readonly #granted: number[] = [];
  #grantedBytes = 0;
  #owedCredit = 0;
  /** What the sender may still send unasked, as far as this side has told it. */
  #window = INITIAL_CREDIT_BYTES;

  constructor(maxMessageBytes: number, handlers: InboxHandlers) {
    this.#maxMessageBytes = maxMessageBytes;
    this.#handlers = handlers;
  }

  offer(bytes: number): void {
    if (bytes > this.#maxMessageBytes) {
      throw new GradwireError('message_too_large', `a peer offers a message of ${bytes} bytes`);
    }
    if (this.#offers.length >= MAX_OFFERS) throw malformed('more offers than may wait');
    this.#offers.push(bytes);
    this.#letIn();
  }

  /** A message of that many bytes, which was let in, will not come. */
  decline(bytes: number): void {
    this.#takeGrant(bytes);
    this.#grantedBytes -= bytes;
    this.#letIn();
  }

  frame({ kind, id, offset, total, part }: Frame): void {
    if (total <= EAGER_BYTES) this.#window -= part.byteLength;
    if (this.#window < 0) throw malformed('more than it was given credit for');
    if (part.byteLength === total) {
      this.#handlers.message(kind, id, part);
      this.#consumed(total);
      return;
    }
    const key = `${kind} ${id}`;
    const message = this.#begun.get(key) ?? this.#begin(key, offset, total);
    if (offset !== message.filled || total !== message.buffer.length) {
      throw malformed('a segment that does not follow the one before');
    }
    message.buffer.set(part, offset);
    message.filled += part.byteLength;
    if (message.filled < total) return;
    this.#begun.delete(key);
    this.#handlers.message(kind, id, message.buffer);
    this.#consumed(total);
  }

  #begin(key: string, offset: number, total: number): Begun {
    if (offset !== 0) throw malformed('a segment of a message that did not begin');
    if (this.#begun.size >= MAX_BEGUN) throw malformed('more messages begun than may take turns');
    if (total > EAGER_BYTES) this.#takeGrant(total);
    const message = { buffer: Buffer.allocUnsafeSlow(total), filled: 0 };
    this.#begun.set(key, message);
    return message;
  }

  #takeGrant(total: number): void {
    const index = this.#granted.indexOf(total);
    if (index < 0) throw malformed('a large message that was not let in');
    this.#granted.splice(index, 1);
  }

  /** A message has been taken: its room is free again. */
  #consumed(total: number): void {
    if (total > EAGER_BYTES) {
      this.#grantedBytes -= total;
      this.#letIn();
      return;
    }
    this.#owedCredit += total;
    if (this.#owedCredit < CREDIT_STEP_BYTES) return;
    this.#window += this.#owedCredit;
    this.#handlers.credit(this.#owedCredit);
    this.#owedCredit = 0;
  }

  /** Lets offers in while there is room; one that is larger than all the room comes alone. */
  #letIn(): void {
    for (;;) {
      const next = this.#offers.peek();
      if (next === undefined) return;
      if (this.#grantedBytes > 0 && this.#grantedBytes + next > INITIAL_CREDIT_BYTES) return;
      this.#offers.shift();
      this.#granted.push(next);
      this.#grantedBytes += next;
      this.#handlers.grant();
    }
  }
}

function malformed(what: string): GradwireError {
  return new GradwireError('protocol_error', `a peer sent ${what}`, { stage: 'receive' });
}
