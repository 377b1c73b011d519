/** HTTP/2 by hand: what no client would send. Frames as RFC 9113 has them, header fields as literals of RFC 7541. */
import { connect, type Socket } from 'node:net';

export const FRAME = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  continuation: 9,
};
const END_HEADERS = 4;
const ACK = 1;
const HEADER_BYTES = 9;

export type Fields = Readonly<Record<string, string>>;

/** Frame of that type. */
export function frame(type: number, stream: number, payload: Buffer, flags = 0): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}

/** The start of a gRPC call, whose body may follow. */
export function call(stream: number, path: string, fields: Fields): Buffer {
  return frame(FRAME.headers, stream, block(path, fields), END_HEADERS);
}

/** The header fields of a call. */
export function block(path: string, fields: Fields): Buffer {
  const all = {
    ...{ ':method': 'POST', ':scheme': 'http', ':path': path, ':authority': 'x' },
    ...{ te: 'trailers', 'content-type': 'application/grpc', ...fields },
  };
  const text = (value: string): Buffer => {
    if (value.length > 126) throw new Error('longer texts need longer numbers');
    return Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
  };
  const literals = Object.entries(all).map(([name, value]) => [
    Buffer.from([0]),
    text(name),
    text(value),
  ]);
  return Buffer.concat(literals.flat());
}

/** A connection that obeys nothing. */
export class RawHttp2 {
  readonly #socket: Socket;
  /** Frames that came, by type. */
  readonly received: Map<number, number> = new Map();
  isOver = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    let rest = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('close', () => {
      this.isOver = true;
    });
    socket.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= HEADER_BYTES) {
        const length = rest.readUIntBE(0, 3);
        if (rest.length < HEADER_BYTES + length) break;
        const type = rest[3] ?? 0;
        this.received.set(type, this.count(type) + 1);
        rest = rest.subarray(HEADER_BYTES + length);
      }
    });
  }

  /** Connects and agrees to what the server sets. */
  static async open(port: number): Promise<RawHttp2> {
    const socket = connect(port, '127.0.0.1');
    const raw = new RawHttp2(socket);
    await new Promise((resolve) => socket.once('connect', resolve));
    raw.send(Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'));
    raw.send(frame(FRAME.settings, 0, Buffer.alloc(0)));
    raw.send(frame(FRAME.settings, 0, Buffer.alloc(0), ACK));
    return raw;
  }

  count(type: number): number {
    return this.received.get(type) ?? 0;
  }

  send(bytes: Buffer): void {
    if (!this.isOver) this.#socket.write(bytes);
  }

  /** Bytes that are written and have not left. */
  get waitingBytes(): number {
    return this.isOver ? 0 : this.#socket.writableLength;
  }

  close(): void {
    this.#socket.destroy();
  }
}
