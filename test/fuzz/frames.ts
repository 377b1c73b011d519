/** Malformed streams of frames: headers that lie, segments that do not fit, floods, and bytes that are no frames. */
import { HEADER_BYTES, padded, writeHeader } from '../../rpc/frame.ts';
import { MESSAGES, type MessageKind } from '../../rpc/message.ts';
import { EAGER_BYTES } from '../../rpc/outbox.ts';
import { hostileNumber } from './boundaries.ts';
import type { Dice } from './dice.ts';
import { framesOf, type Recorded } from './message-parts.ts';

const KINDS = Object.keys(MESSAGES) as MessageKind[];

type Stream = (dice: Dice, message: Recorded, others: readonly Recorded[]) => Buffer[];

function segment(of: Recorded, offset: number, length: number, total = of.bytes.length): Buffer {
  const frame = Buffer.alloc(HEADER_BYTES + padded(length));
  writeHeader(frame, 0, { kind: of.kind, id: of.id, length, offset, total });
  of.bytes.copy(frame, HEADER_BYTES, offset, offset + length);
  return frame;
}

/** One field of a header, each with its place and width in bytes. */
const HEADER = [
  [0, 1],
  [1, 1],
  [2, 2],
  [4, 4],
  [8, 4],
  [12, 6],
  [18, 6],
] as const;

const header: Stream = (dice, message) => {
  const [frame, ...rest] = framesOf(message) as [Buffer, ...Buffer[]];
  const [at, width] = dice.pick(HEADER);
  frame.writeUIntLE(hostileNumber(dice, 8 * width), at, width);
  return [frame, ...rest];
};

const segments: Stream = (dice, message, others) => {
  const half = message.bytes.length >> 1;
  const first = segment(message, 0, half);
  const second = segment(message, half, message.bytes.length - half);
  const other = dice.pick(others);
  const begun = segment(other, 0, other.bytes.length >> 1);
  const third = segment({ ...other, id: other.id + 1 }, 0, other.bytes.length >> 1);
  return dice.pick([
    [second, first],
    [first, first, second],
    [first],
    [first, second, second],
    [first, begun, third, second],
    [first, begun, second],
    [first, segment(message, half, message.bytes.length - half, message.bytes.length + 1)],
    [first, segment(message, half - 1, message.bytes.length - half)],
  ]);
};

const numbers: Stream = (dice) => {
  const kinds = KINDS.filter((kind) => MESSAGES[kind] >= MESSAGES.credit);
  return Array.from({ length: 1 + dice.below(4) }, () => {
    const bytes = Buffer.alloc(6);
    bytes.writeUIntLE(hostileNumber(dice, 48), 0, 6);
    return framesOf({ kind: dice.pick(kinds), id: dice.below(2), bytes })[0] as Buffer;
  });
};

/** Asks for room as the protocol has it, and then sends another length, or nothing. */
const offered: Stream = (dice, message) => {
  const total = EAGER_BYTES + 1 + dice.below(16);
  const bytes = Buffer.alloc(6);
  bytes.writeUIntLE(total, 0, 6);
  const offer = framesOf({ kind: 'offer', id: 0, bytes })[0] as Buffer;
  const decline = framesOf({ kind: 'decline', id: 0, bytes })[0] as Buffer;
  const part = segment({ ...message, bytes: Buffer.alloc(1024) }, 0, 1024, total + dice.below(2));
  return dice.pick([
    [offer],
    [offer, part],
    [offer, part, part],
    [offer, decline, decline],
    [offer, decline, part],
  ]);
};

const garbage: Stream = (dice) => {
  const bytes = Buffer.alloc(dice.below(200));
  for (let i = 0; i < bytes.length; i++) bytes[i] = dice.below(256);
  return [bytes];
};

const cutShort: Stream = (dice, message, others) => {
  const frame = framesOf(message)[0] as Buffer;
  const cut = frame.subarray(0, dice.below(frame.length));
  return [cut, ...(dice.chance(0.5) ? framesOf(dice.pick(others)) : [])];
};

const STREAMS: readonly (readonly [string, Stream])[] = Object.entries({
  header,
  segments,
  numbers,
  offered,
  garbage,
  cutShort,
});

/** Chunks that do not follow the protocol of a connection. */
export function malformedStream(
  dice: Dice,
  message: Recorded,
  others: readonly Recorded[],
): { readonly how: string; readonly chunks: readonly Buffer[] } {
  const [how, stream] = dice.pick(STREAMS);
  return { how: `${message.kind} ${how}`, chunks: stream(dice, message, others) };
}

/** The same bytes in other pieces. */
export function recut(dice: Dice, chunks: readonly Buffer[]): readonly Buffer[] {
  if (dice.chance(0.7)) return chunks;
  const all = Buffer.concat(chunks);
  const pieces: Buffer[] = [];
  for (let at = 0; at < all.length; ) {
    const end = at + 1 + dice.below(dice.chance(0.5) ? 40 : all.length);
    pieces.push(all.subarray(at, end));
    at = end;
  }
  return pieces;
}
