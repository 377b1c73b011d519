/** Messages that are taken back before they left, against the whole flow control. */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { FrameReader } from '../../rpc/frame.ts';
import { Inbox } from '../../rpc/inbox.ts';
import { readNumber } from '../../rpc/number-packet.ts';
import { EAGER_BYTES, INITIAL_CREDIT_BYTES, Outbox, type Outgoing } from '../../rpc/outbox.ts';
import { runs } from '../support/runs.ts';

const MiB = 1024 * 1024;
const SOURCE = Buffer.alloc(40 * MiB);

/** Both ends, with a wire between them that moves when it is told to. */
class Line {
  readonly arrived: number[] = [];
  readonly messages: Outgoing[] = [];
  readonly outbox: Outbox;
  readonly #wire: Uint8Array[] = [];
  readonly #back: (() => void)[] = [];
  readonly #reader: FrameReader;

  constructor() {
    this.outbox = new Outbox(256 * 1024, (chunk) => this.#wire.push(chunk) % 3 > 0);
    const inbox = new Inbox(64 * MiB, {
      message: (_kind, id) => this.arrived.push(id),
      credit: (bytes) => this.#back.push(() => this.outbox.addCredit(bytes)),
      grant: () => this.#back.push(() => expect(this.outbox.grant()).toBe(true)),
    });
    this.#reader = new FrameReader(MiB, (frame) => {
      if (frame.kind === 'offer') inbox.offer(readNumber(frame.part));
      else if (frame.kind === 'decline') inbox.decline(readNumber(frame.part));
      else inbox.frame(frame);
    });
  }

  push(total: number, order: readonly string[]): void {
    const id = this.messages.length + 1;
    const packet = { parts: [SOURCE.subarray(0, total)], total };
    const message: Outgoing = { kind: 'call', id, packet, order };
    this.messages.push(message);
    this.outbox.push(message);
  }

  move(): boolean {
    const hasMore = this.outbox.pump(MiB);
    const chunk = this.#wire.shift();
    if (chunk !== undefined) this.#reader.push(chunk);
    const back = this.#back.shift();
    back?.();
    return hasMore || chunk !== undefined || back !== undefined;
  }

  drain(): void {
    let quiet = 0;
    while (quiet < 3) quiet = this.move() ? 0 : quiet + 1;
  }
}

test('what was withdrawn never arrives, all else does in order, and the room is free again', () => {
  const size = fc.oneof(
    fc.constantFrom(1, 1000, 70_000),
    fc.constantFrom(EAGER_BYTES, EAGER_BYTES + 1, 33 * MiB),
  );
  const step = fc.oneof(
    fc.record({ push: size, order: fc.subarray(['a', 'b']) }),
    fc.record({ withdraw: fc.nat() }),
    fc.record({ moves: fc.nat(5) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const line = new Line();
      const withdrawn = new Set<number>();
      for (const what of steps) {
        if ('push' in what) line.push(what.push, what.order);
        else if ('moves' in what) for (let i = 0; i < what.moves; i++) line.move();
        else {
          const message = line.messages[what.withdraw % line.messages.length];
          if (message !== undefined && line.outbox.withdraw(message)) withdrawn.add(message.id);
        }
      }
      line.drain();
      const expected = line.messages.map(({ id }) => id).filter((id) => !withdrawn.has(id));
      expect(line.arrived.toSorted((a, b) => a - b)).toEqual(expected);
      for (const key of ['a', 'b']) {
        const inOrder = line.arrived.filter((id) => line.messages[id - 1]?.order?.includes(key));
        expect(inOrder).toEqual(inOrder.toSorted((a, b) => a - b));
      }
      expect(line.outbox.isEmpty).toBe(true);
      // Nothing that was let in and taken back holds room: as much as ever comes through.
      const before = line.arrived.length;
      for (let i = 0; i < 3; i++) line.push(33 * MiB, []);
      for (let i = 0; i < 4; i++) line.push(EAGER_BYTES, []);
      line.drain();
      expect(line.arrived.length).toBe(before + 7);
      expect(INITIAL_CREDIT_BYTES).toBeGreaterThan(33 * MiB);
    }),
    runs(15),
  );
}, 600_000);

test('a message of which something was sent cannot be withdrawn; what follows it up comes after it', () => {
  const line = new Line();
  line.push(MiB, []);
  line.move();
  const [message] = line.messages;
  if (message === undefined) throw new Error('none');
  expect(message.stage).toBe('begun');
  expect(line.outbox.withdraw(message)).toBe(false);
  const total = 6;
  message.followUp = { kind: 'cancel', id: 99, packet: { parts: [SOURCE.subarray(0, 6)], total } };
  line.push(1, []);
  line.drain();
  expect(line.arrived).toEqual([2, 1, 99]);
  expect(message.stage).toBe('gone');
});
