/** A recorded message in its parts, which mutations change one by one, and the way back to bytes. */
import { HEADER_BYTES, padded, writeHeader } from '../../rpc/frame.ts';
import { isConnectionKind, type MessageKind } from '../../rpc/message.ts';
import { type Layout, layoutOf } from './layout.ts';

/** A whole message as it was recorded. */
export interface Recorded {
  readonly kind: MessageKind;
  readonly id: number;
  readonly bytes: Buffer;
}

/** A message of values, cut at the borders that `rpc/packet.ts` describes. */
export interface Parts {
  readonly values: Buffer;
  readonly table: Buffer;
  /** Tensors and long binary data, from where their padding begins. */
  readonly rest: Buffer;
}

const PREFIX_BYTES = 8;

/** Kinds whose payload is one number. */
export function isNumber(kind: MessageKind): boolean {
  return isConnectionKind(kind) || kind === 'cancel' || kind === 'streamCredit';
}

export function split({ bytes }: Recorded): Parts {
  const tableStart = PREFIX_BYTES + bytes.readUInt32LE(0);
  const tableEnd = tableStart + bytes.readUInt32LE(4);
  return {
    values: bytes.subarray(PREFIX_BYTES, tableStart),
    table: bytes.subarray(tableStart, tableEnd),
    rest: bytes.subarray(padded(tableEnd)),
  };
}

export function join({ values, table, rest }: Parts): Buffer {
  const head = Buffer.alloc(padded(PREFIX_BYTES + values.length + table.length));
  head.writeUInt32LE(values.length, 0);
  head.writeUInt32LE(table.length, 4);
  head.set(values, PREFIX_BYTES);
  head.set(table, PREFIX_BYTES + values.length);
  return Buffer.concat([head, rest]);
}

const layouts = new WeakMap<Buffer, Layout>();

/** The layout of values that were recorded, found once. */
export function recordedLayout(buffer: Buffer): Layout {
  const known = layouts.get(buffer) ?? layoutOf(buffer);
  layouts.set(buffer, known);
  return known;
}

/** Longest part of one frame that the receiver takes. */
const PART_BYTES = 512 * 1024;

/** The frames that carry a message: one, or segments of it. */
export function framesOf({ kind, id, bytes }: Recorded): Buffer[] {
  const total = bytes.length;
  const frames: Buffer[] = [];
  for (let offset = 0; offset < total || total === 0; offset += PART_BYTES) {
    const part = bytes.subarray(offset, offset + PART_BYTES);
    const frame = Buffer.alloc(HEADER_BYTES + padded(part.length));
    writeHeader(frame, 0, { kind, id, length: part.length, offset, total });
    frame.set(part, HEADER_BYTES);
    frames.push(frame);
    if (total === 0) break;
  }
  return frames;
}
