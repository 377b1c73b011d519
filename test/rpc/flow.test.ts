import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { FrameReader } from '../../rpc/frame.ts';
import { Inbox } from '../../rpc/inbox.ts';
import { numberPacket } from '../../rpc/number-packet.ts';
import { EAGER_BYTES, INITIAL_CREDIT_BYTES, MAX_OFFERS, Outbox } from '../../rpc/outbox.ts';
import { runs } from '../support/runs.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const SEGMENT_BYTES = 256 * KiB;
/** All messages are pieces of this, so that their bytes can be checked without being kept. */
const SOURCE = Buffer.alloc(11 * MiB);
for (let i = 0; i < SOURCE.length; i += 4) SOURCE.writeUInt32LE((i * 2654435761) >>> 0, i);

/** An outbox and an inbox with a wire between them on which nothing moves by itself. */
class Link {
  readonly outbox: Outbox;
  readonly wire: Uint8Array[] = [];
  readonly back: (() => void)[] = [];
  readonly arrived: number[] = [];
  readonly sent: number[] = [];
  grants = 0;
  accepts: () => boolean = () => true;
  readonly #reader: FrameReader;

  constructor() {
    this.outbox = new Outbox(SEGMENT_BYTES, (chunk) => {
      this.wire.push(chunk);
      return this.accepts();
    });
    const inbox = new Inbox(64 * MiB, {
      message: (_kind, id, bytes) => {
        const size = this.sent[id] ?? -1;
        expect(Buffer.compare(SOURCE.subarray(id, id + size), bytes)).toBe(0);
        this.arrived.push(id);
      },
      credit: (bytes) => this.back.push(() => this.outbox.addCredit(bytes)),
      grant: () => {
        this.grants++;
        this.back.push(() => expect(this.outbox.grant()).toBe(true));
      },
    });
    this.#reader = new FrameReader(MiB, (frame) => {
      if (frame.kind === 'offer') inbox.offer(Buffer.from(frame.part).readUIntLE(0, 6));
      else inbox.frame(frame);
    });
  }

  send(size: number, ...order: string[]): number {
    const id = this.sent.push(size) - 1;
    const middle = id + Math.floor(size / 3);
    const parts = [SOURCE.subarray(id, middle), SOURCE.subarray(middle, id + size)];
    this.outbox.push({ kind: 'call', id, packet: { parts, total: size }, order });
    return id;
  }

  deliver(chunks = Number.POSITIVE_INFINITY): void {
    for (const chunk of this.wire.splice(0, chunks)) this.#reader.push(chunk);
  }

  answer(): void {
    for (const tell of this.back.splice(0)) tell();
  }

  /** Everything moves until nothing does. */
  settle(): void {
    this.accepts = () => true;
    do {
      while (this.outbox.pump(MiB));
      this.deliver();
      this.answer();
    } while (this.wire.length + this.back.length > 0 || this.outbox.pump(1));
    this.deliver();
  }
}

const size = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 1, max: 2 * KiB }) },
  { weight: 2, arbitrary: fc.integer({ min: 60 * KiB, max: 300 * KiB }) },
  { weight: 2, arbitrary: fc.integer({ min: MiB, max: EAGER_BYTES + 1 }) },
  { weight: 1, arbitrary: fc.integer({ min: EAGER_BYTES, max: 10 * MiB }) },
);
const step = fc.oneof(
  fc.record({ do: fc.constant('send' as const), size, key: fc.nat(3) }),
  fc.record({ do: fc.constant('pump' as const), budget: fc.integer({ min: 1, max: 3 * MiB }) }),
  fc.record({ do: fc.constant('deliver' as const), chunks: fc.nat(20) }),
  fc.record({ do: fc.constant('answer' as const) }),
);

test('every message arrives once, whole, and in the order of its key (G7)', () => {
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 20, maxLength: 80 }),
      fc.infiniteStream(fc.boolean()),
      (steps, blocks) => {
        const link = new Link();
        link.accepts = () => blocks.next().value ?? true;
        const byKey: number[][] = [[], [], [], []];
        for (const action of steps) {
          if (action.do === 'send')
            byKey[action.key]?.push(link.send(action.size, `${action.key}`));
          else if (action.do === 'pump') link.outbox.pump(action.budget);
          else if (action.do === 'deliver') link.deliver(action.chunks);
          else link.answer();
        }
        link.settle();
        expect([...link.arrived].sort((a, b) => a - b)).toEqual(link.sent.map((_, id) => id));
        for (const ids of byKey) {
          expect(link.arrived.filter((id) => ids.includes(id))).toEqual(ids);
        }
        expect(link.grants).toBe(link.sent.filter((bytes) => bytes > EAGER_BYTES).length);
        expect(link.outbox.isEmpty).toBe(true);
      },
    ),
    runs(40),
  );
});

test('a small message overtakes bulk of other keys, not of its own', () => {
  const link = new Link();
  const bulk = link.send(3 * MiB, 'a');
  link.outbox.pump(1);
  const same = link.send(10, 'a');
  const other = link.send(10, 'b');
  const none = link.send(10);
  link.settle();
  expect(link.arrived).toEqual([other, none, bulk, same]);
});

test('small messages of one pump leave in one chunk', () => {
  const link = new Link();
  for (let i = 0; i < 100; i++) link.send(100);
  expect(link.outbox.pump(MiB)).toBe(false);
  expect(link.wire.length).toBe(1);
  link.deliver();
  expect(link.arrived).toEqual(link.sent.map((_, id) => id));
});

test('two large messages take turns', () => {
  const link = new Link();
  link.send(2 * MiB);
  link.send(MiB);
  link.send(70 * KiB);
  link.settle();
  expect(link.arrived).toEqual([1, 2, 0]);
});

test('without credit nothing goes beyond the window, and all goes when it comes', () => {
  const link = new Link();
  const count = INITIAL_CREDIT_BYTES / EAGER_BYTES + 4;
  for (let i = 0; i < count; i++) link.send(EAGER_BYTES);
  let onWire = 0;
  for (let i = 0; i < 200; i++) {
    link.outbox.pump(MiB);
    for (const chunk of link.wire) onWire += chunk.length;
    link.deliver();
  }
  expect(onWire).toBeLessThan(INITIAL_CREDIT_BYTES + MiB);
  // Two take turns, so the last of the window is shared.
  expect(link.arrived.length).toBe(INITIAL_CREDIT_BYTES / EAGER_BYTES - 1);
  link.settle();
  expect(link.arrived.length).toBe(count);
});

test('a large message waits until it is let in, and others pass', () => {
  const link = new Link();
  const large = link.send(EAGER_BYTES + 1);
  const other = link.send(EAGER_BYTES);
  while (link.outbox.pump(MiB));
  link.deliver();
  expect(link.arrived).toEqual([other]);
  link.settle();
  expect(link.arrived).toEqual([other, large]);
});

test('a sender that breaks the rules is found out', () => {
  const handlers = { message: () => {}, credit: () => {}, grant: () => {} };
  const inbox = new Inbox(8 * MiB, handlers);
  const part = new Uint8Array(8);
  const frame = { kind: 'call', id: 1, part } as const;
  expect(() => inbox.offer(8 * MiB + 1)).toThrow(/^message_too_large/);
  expect(() => inbox.frame({ ...frame, offset: 8, total: 64 })).toThrow(/did not begin/);
  expect(() => inbox.frame({ ...frame, offset: 0, total: 5 * MiB })).toThrow(/was not let in/);
  inbox.frame({ ...frame, offset: 0, total: 64 });
  expect(() => inbox.frame({ ...frame, offset: 0, total: 64 })).toThrow(/does not follow/);
  expect(() => inbox.frame({ ...frame, offset: 8, total: 72 })).toThrow(/does not follow/);
  inbox.frame({ ...frame, id: 2, offset: 0, total: 64 });
  expect(() => inbox.frame({ ...frame, id: 3, offset: 0, total: 64 })).toThrow(
    /more messages begun/,
  );
  const box = new Outbox(SEGMENT_BYTES, () => true);
  expect(box.grant()).toBe(false);
  expect(numberPacket(2 ** 40).total).toBe(6);
});

test('offers that wait are bounded, at both ends', () => {
  let offers = 0;
  const count = new FrameReader(MiB, ({ kind }) => {
    if (kind === 'offer') offers++;
  });
  const outbox = new Outbox(SEGMENT_BYTES, (chunk) => {
    count.push(chunk);
    return true;
  });
  const packet = { parts: [SOURCE], total: SOURCE.length };
  for (let id = 0; id < MAX_OFFERS + 2; id++) outbox.push({ kind: 'call', id, packet });
  while (outbox.pump(MiB));
  expect(offers).toBe(MAX_OFFERS);
  for (let i = 0; i < 3; i++) expect(outbox.grant()).toBe(true);
  while (outbox.pump(64 * MiB));
  expect(offers).toBe(MAX_OFFERS + 2);
  const inbox = new Inbox(64 * MiB, { message: () => {}, credit: () => {}, grant: () => {} });
  // What there is room for waits no longer.
  for (let i = 0; i <= MAX_OFFERS; i++) inbox.offer(64 * MiB);
  expect(() => inbox.offer(64 * MiB)).toThrow(/^protocol_error: .*more offers than may wait/);
});
