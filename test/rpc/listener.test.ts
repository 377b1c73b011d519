import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { describe, expect, test } from '@jest/globals';
import { Listener } from '../../rpc/grpc/listener.ts';
import { clientTls } from '../../rpc/tls.ts';
import type { TlsCredentials } from '../../rpc/tls-credentials.ts';
import { TestAuthority } from '../support/certificates.ts';
import { until } from '../support/until.ts';

const tls = new TestAuthority().credentials();
const LONG_MS = 600_000;

interface Door {
  readonly listener: Listener;
  readonly taken: Socket[];
}

async function door(
  patienceMs: number,
  credentials?: TlsCredentials,
): Promise<Door & AsyncDisposable> {
  const taken: Socket[] = [];
  const listener = await Listener.listen({
    ...{ host: '127.0.0.1', port: 0, tls: credentials, patienceMs },
    take: (socket) => {
      socket.resume();
      taken.push(socket);
    },
  });
  return {
    ...{ listener, taken },
    [Symbol.asyncDispose]: async () => {
      const closed = listener.close();
      listener.cut();
      await closed;
    },
  };
}

function knock({ listener }: Door): { socket: Socket; over: Promise<unknown> } {
  const socket = connect(listener.port, '127.0.0.1');
  socket.on('error', () => {});
  socket.resume();
  return { socket, over: new Promise((resolve) => socket.once('close', resolve)) };
}

describe('strangers (T12)', () => {
  test('who says nothing, or one byte after the other, is shown out', async () => {
    await using plain = await door(50);
    const silent = knock(plain);
    const slow = knock(plain);
    const drip = setInterval(() => slow.socket.write('P'), 5);
    await Promise.all([silent.over, slow.over]);
    clearInterval(drip);
    await until(() => plain.listener.size === 0);
  });

  test('the same over TLS, before and after shaking hands', async () => {
    await using secure = await door(200, tls);
    const silent = knock(secure);
    const socket = connectTls({
      ...clientTls(tls, '127.0.0.1'),
      ...{ host: '127.0.0.1', port: secure.listener.port, ALPNProtocols: ['h2'] },
    });
    const over = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => {});
    socket.resume();
    await until(() => secure.taken.length === 1);
    await Promise.all([silent.over, over]);
    await until(() => secure.listener.size === 0);
  });

  test.each([
    ['plain', undefined],
    ['TLS', tls],
  ])('who has shown the token stays: %s', async (_, credentials) => {
    await using open = await door(100, credentials);
    const to = { host: '127.0.0.1', port: open.listener.port };
    const socket =
      credentials === undefined
        ? connect(to)
        : connectTls({ ...to, ...clientTls(credentials, '127.0.0.1'), ALPNProtocols: ['h2'] });
    socket.resume();
    await until(() => open.taken.length === 1);
    const [taken] = open.taken;
    open.listener.admit(taken?.remoteAddress, taken?.remotePort);
    // One that came later is gone before.
    await knock(open).over;
    await until(() => open.listener.size === 1);
    expect(socket.destroyed).toBe(false);
    socket.destroy();
    await until(() => open.listener.size === 0);
  });

  test('of one address there are 256 at a time, and room again when they are gone', async () => {
    await using open = await door(LONG_MS);
    const many = Array.from({ length: 256 }, () => knock(open));
    await until(() => open.taken.length === 256);
    await knock(open).over;
    expect(open.taken.length).toBe(256);
    for (const { socket } of many.slice(0, 2)) socket.destroy();
    await until(() => open.listener.size === 254);
    knock(open);
    await until(() => open.taken.length === 257);
    for (const { socket } of many) socket.destroy();
  });
});
