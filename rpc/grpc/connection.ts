/** A connection over one bidirectional gRPC stream, from either end. Each chunk is one gRPC message. */
import type { ClientDuplexStream, ServerDuplexStream, StatusObject } from '@grpc/grpc-js';
import type { Connection, ConnectionHandlers, PeerIdentity } from '../transport.ts';

const SEGMENT_BYTES = 256 * 1024;
/** How long the other side gets to end its half before the stream is cancelled. */
const CLOSE_GRACE_MS = 1_000;

type Stream = ClientDuplexStream<Buffer, Buffer> | ServerDuplexStream<Buffer, Buffer>;

export class GrpcConnection implements Connection {
  readonly peer: PeerIdentity;
  readonly segmentBytes: number = SEGMENT_BYTES;
  readonly #stream: Stream;
  readonly #release: () => void;
  #handlers: ConnectionHandlers | undefined;
  #early: { reason: Error | undefined } | undefined;
  #isEnding = false;
  #isOver = false;
  #grace: NodeJS.Timeout | undefined;

  /** @param release frees what carries the stream, when it is over */
  constructor(stream: Stream, peer: PeerIdentity, release: () => void = () => {}) {
    this.#stream = stream;
    this.peer = peer;
    this.#release = release;
    stream.pause();
    stream.on('data', (chunk: Buffer) => this.#handlers?.data(chunk));
    stream.on('drain', () => this.#handlers?.drain());
    stream.on('end', () => this.#over(undefined));
    stream.on('error', (error: Error) => this.#over(error));
    stream.on('cancelled', () => this.#over(new Error('the stream was cut off')));
    stream.on('status', (status: StatusObject) => {
      this.#over(status.code === 0 ? undefined : new Error(status.details));
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
    return this.#stream.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
  }

  close(): void {
    if (this.#isOver || this.#isEnding) return;
    this.#isEnding = true;
    this.#stream.end();
    this.#grace = setTimeout(() => this.#cut(), CLOSE_GRACE_MS);
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
