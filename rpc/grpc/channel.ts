/** How a client reaches a peer, plain or TLS, and what is wrong where it cannot. */
import { connect, createSecureContext } from 'node:tls';
import { Client, credentials } from '@grpc/grpc-js';
import { clientTls } from '../tls.ts';
import type { TlsCredentials } from '../tls-credentials.ts';
import { CHANNEL_OPTIONS } from './service.ts';

/** How long a peer may take to say its first bytes to someone who asks what is wrong. */
const PROBE_TIMEOUT_MS = 2_000;
const ADVICE = 'give all workers certificates of one authority (GRADWIRE_TLS_CERT, _KEY and _CA)';

export function target(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** @param address host:port, as members tell it */
export function clientTo(address: string, tls: TlsCredentials | undefined): Client {
  if (tls === undefined) return new Client(address, credentials.createInsecure(), CHANNEL_OPTIONS);
  const { host } = split(address);
  const { servername, checkServerIdentity, ...context } = clientTls(tls, host);
  const secure = credentials.createFromSecureContext(createSecureContext(context), {
    checkServerIdentity,
  });
  return new Client(address, secure, {
    ...CHANNEL_OPTIONS,
    'grpc.ssl_target_name_override': servername,
  });
}

/**
 * Why a peer that listens is not understood: gRPC hides what its sockets see. Undefined if that is not known, or nothing is
 * wrong with certificates.
 */
export function tlsFault(
  address: string,
  tls: TlsCredentials | undefined,
): Promise<string | undefined> {
  const to = { ...split(address), ALPNProtocols: ['h2'] };
  return new Promise((resolve) => {
    // Without certificates only whether it speaks TLS is asked: nothing is sent to it, and nothing it says is believed.
    const options = tls === undefined ? { rejectUnauthorized: false } : clientTls(tls, to.host);
    let isSecure = false;
    const socket = connect({ ...to, ...options }, () => {
      isSecure = true;
      if (tls === undefined) end(`it speaks TLS and this worker does not: ${ADVICE}`);
    });
    const end = (fault?: string): void => {
      socket.destroy();
      resolve(fault);
    };
    const closed = (): void => {
      end(isSecure ? `it does not accept the certificate of this worker: ${ADVICE}` : undefined);
    };
    socket.setTimeout(PROBE_TIMEOUT_MS, () => end());
    socket.once('data', () => end());
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (isSecure) closed();
      else end(tls === undefined ? undefined : faultOf(error));
    });
    socket.once('close', closed);
  });
}

/** What an error in shaking hands says about certificates. */
function faultOf({ code = '', message }: NodeJS.ErrnoException): string | undefined {
  if (code === 'EPROTO' || code.includes('WRONG_VERSION') || code.includes('PACKET_LENGTH')) {
    return `it does not speak TLS, as this worker does: ${ADVICE}`;
  }
  // ECONNREFUSED, ENOTFOUND and the like say nothing of certificates.
  if (/^E[A-Z]+$/.test(code)) return undefined;
  return `its certificate is not accepted: ${message}; ${ADVICE}`;
}

function split(address: string): { host: string; port: number } {
  const at = address.lastIndexOf(':');
  return {
    host: address.slice(0, at).replace(/^\[|\]$/g, ''),
    port: Number(address.slice(at + 1)),
  };
}
