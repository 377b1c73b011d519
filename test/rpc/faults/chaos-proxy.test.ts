/** What the chaos proxy does to connections, and that nothing of it is left. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { expect, test } from '@jest/globals';
import { ChaosProxy } from '../../../rpc/faults/chaos-proxy.ts';
import type { ProxyConditions } from '../../../rpc/faults/proxy-conditions.ts';
import { until } from '../../support/until.ts';

/** Sends back what it gets. */
class Echo implements AsyncDisposable {
  readonly #server: Server;
  readonly sockets = new Set<Socket>();
  received = 0;
  ended = 0;
  failed = 0;

  private constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket) => {
      this.sockets.add(socket);
      socket.on('data', (bytes) => {
        this.received += bytes.length;
        socket.write(bytes);
      });
      socket.on('end', () => {
        this.ended++;
        socket.end();
      });
      socket.on('error', () => {
        this.failed++;
      });
      socket.on('close', () => this.sockets.delete(socket));
    });
  }

  static async listen(): Promise<Echo> {
    const server = createServer({ allowHalfOpen: true });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new Echo(server);
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** The end of a connection that a test holds. */
class Near implements Disposable {
  readonly socket: Socket;
  bytes: Buffer = Buffer.alloc(0);
  hasEnded = false;
  isClosed = false;
  error: NodeJS.ErrnoException | undefined;

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    this.socket.on('data', (chunk: Buffer) => {
      this.bytes = Buffer.concat([this.bytes, chunk]);
    });
    this.socket.on('end', () => {
      this.hasEnded = true;
    });
    this.socket.on('error', (error) => {
      this.error = error;
    });
    this.socket.on('close', () => {
      this.isClosed = true;
    });
  }

  get text(): string {
    return this.bytes.toString('latin1');
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

async function through(
  conditions: ProxyConditions,
  use: (parts: { echo: Echo; proxy: ChaosProxy; near: Near }) => Promise<void>,
): Promise<void> {
  await using echo = await Echo.listen();
  await using proxy = await ChaosProxy.listen({ port: echo.port, conditions, seed: 3 });
  {
    using near = new Near(proxy.port);
    await use({ echo, proxy, near });
  }
  await until(() => proxy.openCount === 0);
}

test('bytes and ends pass as they are, both ways', async () => {
  await through({}, async ({ echo, near }) => {
    const large = Buffer.alloc(3 * 1024 * 1024, 'abc');
    near.socket.end(large);
    await until(() => near.hasEnded);
    expect(near.bytes.equals(large)).toBe(true);
    expect(echo.ended).toBe(1);
  });
});

test('latency and jitter count each way and keep the order', async () => {
  await through({ latencyMs: 40, jitterMs: 20 }, async ({ near }) => {
    const startedAt = performance.now();
    for (const letter of 'abcdefgh') near.socket.write(letter);
    await until(() => near.text === 'abcdefgh');
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(79);
  });
});

test('bandwidth is what passes in a second', async () => {
  await through({ bytesPerSecond: 500_000 }, async ({ near }) => {
    const startedAt = performance.now();
    near.socket.write(Buffer.alloc(100_000));
    await until(() => near.bytes.length === 100_000);
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(199);
  });
});

test.each(['up', 'down', 'both'] as const)(
  'a black hole %s holds all until it is over',
  async (way) => {
    await through({}, async ({ echo, proxy, near }) => {
      near.socket.write('a');
      await until(() => near.text === 'a');
      proxy.set({ blackHole: way });
      near.socket.end('b');
      if (way === 'down') await until(() => echo.ended === 1);
      else {
        using other = new Near(proxy.port);
        other.socket.write('c');
        await until(() => proxy.openCount === 2);
        other.socket.resetAndDestroy();
        await until(() => other.isClosed);
        expect(echo.received).toBe(1);
      }
      expect(near.text).toBe('a');
      proxy.set({});
      await until(() => near.text === 'ab' && near.hasEnded);
      proxy.reset();
    });
  },
);

test('a cut after n bytes lets n bytes through, and both ends see a reset', async () => {
  await through({ cutAfterBytes: 5 }, async ({ echo, near }) => {
    near.socket.write('abcdefgh');
    await until(() => near.isClosed && echo.sockets.size === 0);
    expect([echo.received, echo.failed, near.error?.code]).toEqual([5, 1, 'ECONNRESET']);
  });
});

test('bytes can be counted on their way back', async () => {
  await through({ cutAfterBytes: 3, way: 'down' }, async ({ echo, near }) => {
    near.socket.write('abcdefgh');
    // Some kernels show a reset after unread bytes as an end.
    await until(() => near.isClosed || near.hasEnded);
    expect([echo.received, near.bytes.length <= 3]).toEqual([8, true]);
  });
});

test('one byte is flipped, and no other', async () => {
  await through({ flipAfterBytes: 2 }, async ({ near }) => {
    near.socket.write('abcdef');
    await until(() => near.bytes.length === 6);
    expect([...near.bytes]).toEqual(
      [...Buffer.from('abcdef')].map((b, i) => (i === 2 ? b ^ 255 : b)),
    );
  });
});

test('a hole after n bytes lets those through and then nothing', async () => {
  await through({ holeAfterBytes: 3 }, async ({ echo, proxy, near }) => {
    near.socket.write('abcdef');
    await until(() => echo.received === 3);
    near.socket.end();
    using other = new Near(proxy.port);
    other.socket.write('xy');
    await until(() => other.text === 'xy');
    expect([near.text.length <= 3, near.hasEnded, echo.ended]).toEqual([true, false, 0]);
    proxy.reset();
  });
});

test('a half-close ends one way alone', async () => {
  await through({}, async ({ echo, proxy, near }) => {
    near.socket.write('a');
    await until(() => near.text === 'a');
    proxy.halfClose('up');
    await until(() => echo.ended === 1 && near.hasEnded);
    expect(near.error).toBeUndefined();
    near.socket.end();
  });
});

test('refused connections are reset at once, until they are not', async () => {
  await through({ refuse: true }, async ({ echo, proxy, near }) => {
    await until(() => near.isClosed);
    expect([echo.sockets.size, proxy.acceptedCount]).toEqual([0, 1]);
    proxy.set({});
    using second = new Near(proxy.port);
    second.socket.write('a');
    await until(() => second.text === 'a');
  });
});

test('a share of the connections is lost, by seed', async () => {
  const lost: number[][] = [];
  for (let round = 0; round < 2; round++) {
    await through({ loss: 0.3 }, async ({ proxy, near }) => {
      const all = [near, ...Array.from({ length: 19 }, () => new Near(proxy.port))];
      const size = 300_000;
      try {
        // One after the other, since chance is drawn as they come.
        for (const [index, one] of all.entries()) {
          await until(() => proxy.acceptedCount > index);
          one.socket.write(Buffer.alloc(size));
          await until(() => one.isClosed || one.bytes.length === size);
        }
        lost.push(all.flatMap(({ isClosed }, index) => (isClosed ? [index] : [])));
      } finally {
        for (const one of all) one[Symbol.dispose]();
      }
    });
  }
  expect(lost[0]?.length).toBeGreaterThan(0);
  expect(lost[0]?.length).toBeLessThan(15);
});

test('who is reset resets the other side', async () => {
  await through({}, async ({ echo, near }) => {
    near.socket.write('a');
    await until(() => near.text === 'a');
    near.socket.resetAndDestroy();
    await until(() => echo.failed === 1);
  });
});

test('a target that is not there ends the connection; closing ends all, twice too', async () => {
  let port = 0;
  {
    await using echo = await Echo.listen();
    port = echo.port;
  }
  const proxy = await ChaosProxy.listen({ port });
  using near = new Near(proxy.port);
  await until(() => near.isClosed);
  await proxy.close();
  await proxy.close();
});

test.each([{ loss: 2 }, { latencyMs: -1 }, { bytesPerSecond: 0 }, { jitterMs: Number.NaN }])(
  'conditions that make no sense are refused: %j',
  async (conditions) => {
    await expect(ChaosProxy.listen({ port: 1, conditions })).rejects.toThrow('invalid_argument');
  },
);
