import { createSecureServer, type Http2SecureServer } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { networkInterfaces } from 'node:os';
import { type ConnectionOptions, connect } from 'node:tls';
import { describe, expect, test } from '@jest/globals';
import { GrpcTransport } from '../../rpc/grpc/transport.ts';
import { init } from '../../rpc/init.ts';
import type { TlsCredentials } from '../../rpc/tls-credentials.ts';
import { startEngine } from '../../tensor/index.ts';
import { TestAuthority } from '../support/certificates.ts';
import { freePort, startCluster } from '../support/cluster.ts';
import { add, echo } from '../support/services.ts';

const authority = new TestAuthority();
const stranger = new TestAuthority();
const tls = authority.credentials();
const both = authority.ca + stranger.ca;

/** A port with a group of one on it, token `secret`. */
async function lonely(credentials?: TlsCredentials): Promise<{ port: number } & AsyncDisposable> {
  await startEngine('cpu');
  const port = await freePort();
  const common = { name: 'alone', rank: 0, worldSize: 1, token: 'secret', engine: 'cpu' } as const;
  const security = credentials === undefined ? {} : { tls: credentials };
  const worker = await init({ ...common, ...security, masterPort: port });
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      await worker.shutdown();
    },
  };
}

/** How joining at that port ends. */
function joining(port: number, credentials?: TlsCredentials): Promise<unknown> {
  const security = credentials === undefined ? {} : { tls: credentials };
  const common = { name: 'b', rank: 1, worldSize: 2, token: 'secret', engine: 'cpu' } as const;
  return init({ ...common, ...security, masterPort: port, initTimeoutMs: 30_000 });
}

describe('a group with certificates', () => {
  test('calls, and sends much in both directions', async () => {
    await using cluster = await startCluster({ workers: 3, transport: 'grpc', tls });
    expect(await cluster.at(2).rpcSync(1, add, [1, 2])).toBe(3);
    const bytes = new Uint8Array(8 * 1024 * 1024).fill(7);
    const calls = [0, 1].map((rank) =>
      cluster.at(rank).rpcAsync(1 - rank, echo<Uint8Array>, [bytes]),
    );
    for (const back of await Promise.all(calls)) expect(Buffer.from(back).equals(bytes)).toBe(true);
  });

  const address = Object.values(networkInterfaces())
    .flatMap((all) => all ?? [])
    .find(({ internal, family }) => !internal && family === 'IPv4')?.address;
  const maybe = address === undefined ? test.skip : test;
  maybe('spans hosts without more ado', async () => {
    const host = address ?? '';
    const outside = authority.credentials([host]);
    const where = { masterAddr: host, host, transport: 'grpc', tls: outside } as const;
    await using cluster = await startCluster(where);
    expect(await cluster.at(0).rpcSync(1, add, [1, 2])).toBe(3);
    expect(cluster.at(0).getDebugInfo()).toMatchObject({ 'agent.insecure': 0 });
  });

  maybe('without certificates a group that spans hosts shows that it is insecure', async () => {
    const host = address ?? '';
    const where = { masterAddr: host, host, transport: 'grpc', insecure: true } as const;
    await using cluster = await startCluster(where);
    for (const worker of cluster.workers) {
      expect(worker.getDebugInfo()).toMatchObject({ 'agent.insecure': 1 });
    }
    // On this host alone nothing leaves it, whatever is allowed.
    await using here = await startCluster({ transport: 'grpc', insecure: true });
    expect(here.at(0).getDebugInfo()).toMatchObject({ 'agent.insecure': 0 });
  });
});

describe('authorities between a worker and the one that is trusted', () => {
  const between = new TestAuthority(authority).credentials();

  test('a chain of certificates is shown and followed, by both ends', async () => {
    await using cluster = await startCluster({ transport: 'grpc', tls: between });
    expect(await cluster.at(0).rpcSync(1, add, [1, 2])).toBe(3);
    expect(await cluster.at(1).rpcSync(0, add, [3, 4])).toBe(7);
  });

  test('who does not show it is not let in, and is told before', async () => {
    await using server = await lonely(tls);
    const [leaf = ''] = between.cert.split(/(?<=END CERTIFICATE-----\n)/);
    await expect(joining(server.port, { ...between, cert: leaf })).rejects.toThrow(
      /^invalid_argument: tls.cert was signed by CN=gradwire .* not in tls.ca/,
    );
  });
});

describe('who may not come in (T10, T18)', () => {
  test.each([
    ['a worker of another authority', stranger.credentials(), /its certificate is not accepted/],
    [
      'a worker that trusts us, of an authority that we do not',
      { ...stranger.credentials(), ca: both },
      /does not accept the certificate of this worker/,
    ],
    ['a worker without certificates', undefined, /speaks TLS and this worker does not/],
  ])('%s', async (_, credentials, message) => {
    await using server = await lonely(tls);
    const refusal = joining(server.port, credentials);
    await expect(refusal).rejects.toMatchObject({ code: 'unauthenticated', stage: 'init' });
    await expect(refusal).rejects.toThrow(message);
    await expect(refusal).rejects.toThrow(`127.0.0.1:${server.port}`);
  });

  test('a worker with certificates, where there are none', async () => {
    await using server = await lonely();
    const refusal = joining(server.port, tls);
    await expect(refusal).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(refusal).rejects.toThrow(/does not speak TLS, as this worker does/);
  });

  test('a certificate is not enough: the token is needed too', async () => {
    await using server = await lonely(tls);
    const common = { name: 'b', rank: 1, worldSize: 2, token: 'other', engine: 'cpu' } as const;
    const refusal = init({ ...common, tls, masterPort: server.port, initTimeoutMs: 30_000 });
    await expect(refusal).rejects.toThrow(
      /^unauthenticated: .*token of the run is missing or wrong/,
    );
  });

  test('TLS 1.2, and a client that shows no certificate', async () => {
    await using server = await lonely(tls);
    const outcome = (options: ConnectionOptions): Promise<string> =>
      new Promise((resolve) => {
        const common = { host: '127.0.0.1', port: server.port, ca: authority.ca };
        const socket = connect({ ...common, ALPNProtocols: ['h2'], ...options });
        socket.on('error', () => resolve('refused'));
        socket.once('close', () => resolve('refused'));
        // The server's first word: it takes this client for one of its own.
        socket.once('data', () => {
          socket.destroy();
          resolve('accepted');
        });
      });
    const { cert, key } = tls;
    expect(await outcome({ cert, key })).toBe('accepted');
    expect(await outcome({})).toBe('refused');
    expect(await outcome({ cert, key, maxVersion: 'TLSv1.2' })).toBe('refused');
    const other = stranger.credentials();
    expect(await outcome({ cert: other.cert, key: other.key })).toBe('refused');
  });

  test('bytes that are no TLS do no harm', async () => {
    await using server = await lonely(tls);
    for (const text of ['GET / HTTP/1.1\r\n\r\n', '\x16\x03\x01\xff\xff', '\0'.repeat(500)]) {
      const socket = connectTcp(server.port, '127.0.0.1');
      socket.on('error', () => {});
      socket.resume();
      socket.end(text);
      await new Promise((resolve) => socket.once('close', resolve));
    }
  });
});

describe('whom a worker does not believe', () => {
  /** Dials a server with these credentials on loopback. */
  async function dialling(credentials: TlsCredentials): Promise<unknown> {
    const server: Http2SecureServer = createSecureServer({ ...credentials, minVersion: 'TLSv1.3' });
    server.on('sessionError', () => {});
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const node = await new GrpcTransport().start({
      ...{ name: 'a', rank: 0, worldSize: 2, incarnation: 'x', token: 'secret', host: undefined },
      ...{ masterAddr: '127.0.0.1', masterPort: await freePort(), tls, group: undefined },
      accept: () => {},
    });
    const member = { name: 'b', rank: 1, incarnation: 'y', address: `127.0.0.1:${port}` };
    try {
      return await node.dial(member, 30_000);
    } finally {
      await node.close();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    }
  }

  test.each([
    [
      'one whose certificate is for another address',
      authority.credentials(['10.1.2.3']),
      /altnames/,
    ],
    ['one whose certificate has expired', authority.credentials(['127.0.0.1'], -1), /has expired/],
    ['one of another authority', stranger.credentials(), /not accepted/],
  ])('%s', async (_, credentials, message) => {
    const refusal = dialling(credentials);
    await expect(refusal).rejects.toMatchObject({ code: 'unauthenticated', peer: 'b' });
    await expect(refusal).rejects.toThrow(/cannot reach b at 127.0.0.1:/);
    await expect(refusal).rejects.toThrow(message);
  });
});
