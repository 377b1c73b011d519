/** The dialling sockets of the liveness mesh: the one place there that knows what secures them. */
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { clientTls } from '../tls.ts';
import type { TlsCredentials } from '../tls-credentials.ts';

/** Begins to connect; failures come as events of the socket. @param address host:port, or [host]:port */
export function dial(address: string, tls: TlsCredentials | undefined): Socket {
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon).replace(/^\[|\]$/g, '');
  const port = Number(address.slice(colon + 1));
  if (tls === undefined) return connect({ host, port, noDelay: true });
  return connectTls({ ...clientTls(tls, host), host, port }).setNoDelay(true);
}
