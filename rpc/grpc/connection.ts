/**
 * A connection over one bidirectional gRPC stream, from either end. Each chunk is one gRPC message; with checksums, followed
 * by its CRC-32.
 */
import { crc32 } from 'node:zlib';
import {
  type ClientDuplexStream,
  type ServerDuplexStream,
  type StatusObject,
  status,
} from '@grpc/grpc-js';
import { PeerLoss } from '../peer-loss.ts';
import type { Connection, ConnectionHandlers, PeerIdentity } from '../transport.ts';

const SEGMENT_BYTES = 256 * 1024;
/** How long the other side gets to end its half before the stream is cancelled. */
const CLOSE_GRACE_MS = 1_000;

/** What follows a chunk with checksums. */
const CHECKSUM_BYTES = 4;

type Stream = ClientDuplexStream<Buffer, Buffer> | ServerDuplexStream<Buffer, Buffer>;

export interface GrpcConnectionOptions {
  /** Both ends must agree. Default: false. */
  readonly checksums?: boolean;
  /** Frees what carries the stream, when it is over. */
  readonly release?: () => void;
}

export class GrpcConnection implements Connection {
  readonly peer: PeerIdentity;
  readonly segmentBytes: number = SEGMENT_BYTES;
  readonly #stream: Stream;
  readonly #checksums: boolean;
  readonly #release: () => void;
  #handlers: ConnectionHandlers | undefined;
  #early: { reason: Error | undefined } | undefined;
  #isEnding = false;
  #isOver = false;
  #grace: NodeJS.Timeout | undefined;

  constructor(
    stream: Stream,
    peer: PeerIdentity,
    { checksums = false, release = () => {} }: GrpcConnectionOptions = {},
  ) {
    this.#stream = stream;
    this.peer = peer;
    this.#checksums = checksums;
    this.#release = release;
    stream.pause();
    stream.on('data', (chunk: Buffer) => this.#data(chunk));
    stream.on('drain', () => this.#handlers?.drain());
    stream.on('end', () => this.#over(undefined));
    stream.on('error', (error: Error) =>
      this.#over('code' in error && error.code === status.DATA_LOSS ? changedOnTheWay() : error),
    );
    stream.on('cancelled', () => this.#over(new Error('the stream was cut off')));
    stream.on('status', ({ code, details }: StatusObject) => {
      if (code === status.OK) this.#over(undefined);
      else this.#over(code === status.DATA_LOSS ? changedOnTheWay() : new Error(details));
    });
  }

  start(handlers: ConnectionHandlers): void {
    this.#handlers = handlers;
    if (this.#early !== undefined) {
      const { reason } = this.#early;
      setImmediate(() => handlers.close(reason));
      return;
    }
    this.#stream.resume();
  }

  write(chunk: Uint8Array): boolean {
    if (this.#isOver || this.#isEnding) return true;
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    return this.#stream.write(this.#checksums ? withChecksum(bytes) : bytes);
  }

  close(): void {
    if (this.#isOver || this.#isEnding) return;
    this.#isEnding = true;
    this.#stream.end();
    this.#grace = setTimeout(() => this.#cut(), CLOSE_GRACE_MS);
  }

  #data(chunk: Buffer): void {
    if (this.#isOver) return;
    const content = this.#checksums ? checked(chunk) : chunk;
    if (content !== undefined) return this.#handlers?.data(content);
    // A server can say why, before its end of the stream is over; a client can only go.
    if (!('cancel' in this.#stream)) {
      this.#stream.emit('error', { code: status.DATA_LOSS, details: 'wrong checksum' });
    }
    this.#over(changedOnTheWay());
    this.#cut();
  }

  #cut(): void {
    if ('cancel' in this.#stream) this.#stream.cancel();
    else this.#stream.destroy();
    this.#over(undefined);
  }

  #over(reason: Error | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#grace);
    // Answers the other side's end with ours, so that both see a whole stream.
    if (!this.#isEnding) this.#stream.end();
    this.#release();
    if (this.#handlers === undefined) this.#early = { reason };
    else this.#handlers.close(this.#isEnding ? undefined : reason);
  }
}

function changedOnTheWay(): PeerLoss {
  return new PeerLoss('unavailable', 'is cut off, bytes were changed on the way (wrong checksum),');
}

function withChecksum(bytes: Buffer): Buffer {
  const whole = Buffer.allocUnsafe(bytes.length + CHECKSUM_BYTES);
  bytes.copy(whole);
  whole.writeUInt32LE(crc32(bytes), bytes.length);
  return whole;
}

/** The bytes before the checksum; undefined if it is not theirs. */
function checked(whole: Buffer): Buffer | undefined {
  if (whole.length < CHECKSUM_BYTES) return undefined;
  const length = whole.length - CHECKSUM_BYTES;
  const bytes = whole.subarray(0, length);
  return crc32(bytes) === whole.readUInt32LE(length) ? bytes : undefined;
}
