/** A carrier that writes down every message that its workers exchange, in parts that the scenario names. */
import { type Frame, FrameReader } from '../../rpc/frame.ts';
import type { Connection, NodeOptions, Transport, TransportNode } from '../../rpc/transport.ts';
import { MemoryTransport } from '../../rpc/transport-memory.ts';
import type { Recorded } from './message-parts.ts';

export interface Traffic extends Recorded {
  readonly from: number;
  readonly to: number;
  /** What was going on. */
  readonly part: string;
}

export class Recorder implements Transport {
  readonly name: string = 'recorder';
  readonly traffic: Traffic[] = [];
  part = 'join';
  readonly #base = new MemoryTransport();

  async start(options: NodeOptions): Promise<TransportNode> {
    const { rank } = options;
    const accept = (connection: Connection): void => options.accept(this.#tap(rank, connection));
    const node = await this.#base.start({ ...options, accept });
    return {
      join: (timeoutMs) => node.join(timeoutMs),
      dial: async (member, timeoutMs) => this.#tap(rank, await node.dial(member, timeoutMs)),
      close: () => node.close(),
    };
  }

  #tap(from: number, connection: Connection): Connection {
    const { peer, segmentBytes } = connection;
    const begun = new Map<string, Buffer>();
    const reader = new FrameReader(2 ** 24, ({ kind, id, offset, total, part }: Frame) => {
      const key = `${kind} ${id}`;
      const bytes = begun.get(key) ?? Buffer.alloc(total);
      begun.set(key, bytes);
      bytes.set(part, offset);
      if (offset + part.length < total) return;
      begun.delete(key);
      this.traffic.push({ from, to: peer.rank, part: this.part, kind, id, bytes });
    });
    return {
      peer,
      segmentBytes,
      start: (handlers) => connection.start(handlers),
      write: (chunk) => {
        reader.push(chunk);
        return connection.write(chunk);
      },
      close: () => connection.close(),
    };
  }
}
