/** The sockets of the liveness mesh: the one place that knows what secures them. */
import { connect, createServer, type Server, type Socket } from 'node:net';

/** Starts to listen. @throws Error (as rejection) if the port cannot be had */
export function listen(
  host: string,
  port: number,
  take: (socket: Socket) => void,
): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ noDelay: true }, take);
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      server.on('error', () => {});
      resolve(server);
    });
  });
}

export function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Begins to connect; failures come as events of the socket. @param address host:port, or [host]:port */
export function dial(address: string): Socket {
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon).replace(/^\[|\]$/g, '');
  return connect({ host, port: Number(address.slice(colon + 1)), noDelay: true });
}
