/**
 * Frames: how messages lie on a connection, the same on every carrier. Pure; knows nothing of what a message means.
 *
 * A message travels in one frame, or in several segments that carry consecutive parts of it. A frame is a header of 24
 * bytes, the part, and padding to a multiple of 8, so that parts stay 8-aligned in a buffer of frames. Little endian:
 *
 *     0 kind u8 | 1 flags u8 (0) | 2 reserved u16 (0) | 4 part length u32 | 8 message id u32
 *     12 offset of the part in the message u48 | 18 length of the message u48
 */
import { GradwireError } from '../errors.ts';
import { MESSAGES, type MessageKind, messageKind } from './message.ts';

export const HEADER_BYTES = 24;

export interface Frame {
  readonly kind: MessageKind;
  /** Id of the request that the message is or answers; 0 for notices. */
  readonly id: number;
  readonly offset: number;
  /** Length of the whole message in bytes. */
  readonly total: number;
  /** A view of the chunk given to `FrameReader.push`: valid only while its callback runs. */
  readonly part: Uint8Array;
}

export interface FrameHeader {
  readonly kind: MessageKind;
  readonly id: number;
  readonly length: number;
  readonly offset: number;
  readonly total: number;
}

/** Bytes that a part of this length takes on the wire, header and padding included. */
export function frameBytes(length: number): number {
  return HEADER_BYTES + padded(length);
}

/** `length` rounded up to a multiple of 8. */
export function padded(length: number): number {
  return Math.ceil(length / 8) * 8;
}

/** Writes a header at `position` and zeroes the padding after the part that follows it. */
export function writeHeader(buffer: Buffer, position: number, header: FrameHeader): void {
  buffer.writeUInt32LE(MESSAGES[header.kind], position);
  buffer.writeUInt32LE(header.length, position + 4);
  buffer.writeUInt32LE(header.id, position + 8);
  buffer.writeUIntLE(header.offset, position + 12, 6);
  buffer.writeUIntLE(header.total, position + 18, 6);
  const end = position + HEADER_BYTES + header.length;
  buffer.fill(0, end, position + frameBytes(header.length));
}

/**
 * Cuts a stream of chunks, which may end anywhere, into frames. Parts longer than `maxPartBytes` and headers that make
 * no sense are a `protocol_error`, thrown before anything is allocated for them.
 */
export class FrameReader {
  readonly #maxPartBytes: number;
  readonly #onFrame: (frame: Frame) => void;
  #rest: Buffer | undefined;

  constructor(maxPartBytes: number, onFrame: (frame: Frame) => void) {
    this.#maxPartBytes = maxPartBytes;
    this.#onFrame = onFrame;
  }

  push(chunk: Uint8Array): void {
    let buffer = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    if (this.#rest !== undefined) {
      buffer = Buffer.concat([this.#rest, buffer]);
      this.#rest = undefined;
    }
    let position = 0;
    while (buffer.length - position >= HEADER_BYTES) {
      const header = this.#header(buffer, position);
      const end = position + frameBytes(header.length);
      if (end > buffer.length) break;
      const start = position + HEADER_BYTES;
      position = end;
      this.#onFrame({ ...header, part: buffer.subarray(start, start + header.length) });
    }
    if (position < buffer.length) this.#rest = Buffer.from(buffer.subarray(position));
  }

  #header(buffer: Buffer, position: number): FrameHeader {
    const first = buffer.readUInt32LE(position);
    const kind = messageKind(first & 0xff);
    const length = buffer.readUInt32LE(position + 4);
    const id = buffer.readUInt32LE(position + 8);
    const offset = buffer.readUIntLE(position + 12, 6);
    const total = buffer.readUIntLE(position + 18, 6);
    const isSound =
      kind !== undefined &&
      first <= 0xff &&
      length <= this.#maxPartBytes &&
      offset + length <= total &&
      (length > 0 || total === 0);
    if (!isSound) {
      throw new GradwireError('protocol_error', 'a frame header makes no sense', {
        stage: 'receive',
      });
    }
    return { kind, id, length, offset, total };
  }
}
