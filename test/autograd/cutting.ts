/** A carrier whose connections a test can break, without a farewell. */
import { GrpcTransport } from '../../rpc/grpc/transport.ts';
import type { Connection, NodeOptions, Transport, TransportNode } from '../../rpc/transport.ts';
import { MemoryTransport } from '../../rpc/transport-memory.ts';
import type { Carrier } from './support.ts';

export class CuttingTransport implements Transport {
  readonly name: string = 'cutting';
  readonly #carrier: Transport;
  readonly #connections: { readonly ranks: readonly number[]; readonly connection: Connection }[] =
    [];

  constructor(carrier: Carrier) {
    this.#carrier = carrier === 'grpc' ? new GrpcTransport() : new MemoryTransport();
  }

  async start(options: NodeOptions): Promise<TransportNode> {
    const note = (connection: Connection): Connection => {
      this.#connections.push({ ranks: [options.rank, connection.peer.rank], connection });
      return connection;
    };
    const accept = (connection: Connection): void => options.accept(note(connection));
    const node = await this.#carrier.start({ ...options, accept });
    return {
      join: (timeoutMs) => node.join(timeoutMs),
      dial: async (member, timeoutMs) => note(await node.dial(member, timeoutMs)),
      close: () => node.close(),
    };
  }

  /** Breaks the connections of worker `rank`: all, or those with `other`. */
  cut(rank: number, other?: number): void {
    for (const { ranks, connection } of this.#connections) {
      if (ranks.includes(rank) && (other === undefined || ranks.includes(other)))
        connection.close();
    }
  }
}
