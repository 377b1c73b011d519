import { connect as connectHttp2 } from 'node:http2';
import { connect, createServer, type Socket } from 'node:net';
import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { describe, expect, test } from '@jest/globals';
import { callSlot } from '../../rpc/current.ts';
import { JOIN, METADATA, OPEN, PROTOCOL, WINDOW_BYTES } from '../../rpc/grpc/service.ts';
import { init } from '../../rpc/init.ts';
import { register } from '../../rpc/registry.ts';
import { AsyncSlot, startEngine } from '../../tensor/index.ts';
import { freePort, startCluster } from '../support/cluster.ts';
import { add, echo } from '../support/services.ts';
import { until } from '../support/until.ts';

const slot = new AsyncSlot<string>();
function readSlot(): string {
  return slot.get() ?? 'none';
}
function readCaller(): number {
  return callSlot.get()?.caller ?? -1;
}
register({ readSlot, readCaller });

/** A port with a group of one on it, token `secret`. */
async function lonely(): Promise<{ port: number } & AsyncDisposable> {
  await startEngine('cpu');
  const port = await freePort();
  const common = { name: 'alone', rank: 0, worldSize: 1, token: 'secret', engine: 'cpu' } as const;
  const worker = await init({ ...common, masterPort: port });
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      await worker.shutdown();
    },
  };
}

function metadata(fields: Record<string, string>): Metadata {
  const made = new Metadata();
  for (const [key, value] of Object.entries(fields)) made.set(key, value);
  return made;
}

const GOOD = { [METADATA.token]: 'secret', [METADATA.protocol]: PROTOCOL };

describe('who may come in', () => {
  test('a call without the token is refused before its body is read (G4)', async () => {
    await using server = await lonely();
    const client = new Client(`127.0.0.1:${server.port}`, credentials.createInsecure());
    let read = 0;
    const answer = (fields: Record<string, string>): Promise<ServiceError | null> =>
      new Promise((resolve) => {
        client.makeUnaryRequest(
          JOIN.path,
          () => Buffer.from('not a message'),
          (bytes: Buffer) => {
            read++;
            return bytes;
          },
          {},
          metadata(fields),
          (error) => resolve(error),
        );
      });
    for (const fields of [{}, { [METADATA.token]: 'wrong' }, { ...GOOD, [METADATA.token]: '' }]) {
      expect(await answer(fields)).toMatchObject({
        code: status.UNAUTHENTICATED,
        details: 'the token of the run is missing or wrong',
      });
    }
    const other = await answer({ ...GOOD, [METADATA.protocol]: '0' });
    expect(other?.details).toContain(`speaks protocol ${PROTOCOL}, the caller 0`);
    // With the token the body is read, and found to be none.
    expect((await answer(GOOD))?.code).not.toBe(status.UNAUTHENTICATED);
    expect(read).toBe(0);
    client.close();
  });

  test('a stream without the token, or of nobody in the group, is closed', async () => {
    await using server = await lonely();
    const client = new Client(`127.0.0.1:${server.port}`, credentials.createInsecure());
    for (const [fields, code] of [
      [{}, status.UNAUTHENTICATED],
      [{ ...GOOD, [METADATA.rank]: '0', [METADATA.incarnation]: 'made up' }, status.OK],
    ] as const) {
      const identity = (bytes: Buffer): Buffer => bytes;
      const stream = client.makeBidiStreamRequest(OPEN.path, identity, identity, metadata(fields));
      stream.on('error', () => {});
      stream.resume();
      stream.write(Buffer.alloc(100_000));
      const over = await new Promise<{ code: number }>((resolve) => stream.on('status', resolve));
      expect(over.code).toBe(code);
    }
    client.close();
  });

  test('bytes that are no HTTP/2 do no harm', async () => {
    await using server = await lonely();
    const sockets = [
      'GET / HTTP/1.1\r\n\r\n',
      '\0'.repeat(1000),
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nxx',
    ];
    const ends = sockets.map((text) => {
      const socket: Socket = connect(server.port, '127.0.0.1');
      socket.on('error', () => {});
      socket.resume();
      socket.write(text);
      setImmediate(() => setImmediate(() => socket.resetAndDestroy()));
      return new Promise((resolve) => socket.on('close', resolve));
    });
    await Promise.all(ends);
  });
});

describe('a group started by hand', () => {
  test('shares its token by a file, whoever comes first', async () => {
    const { GRADWIRE_TOKEN: given } = process.env;
    delete process.env['GRADWIRE_TOKEN'];
    try {
      await startEngine('cpu');
      const masterPort = await freePort();
      const common = { worldSize: 2, masterPort, engine: 'cpu', initTimeoutMs: 10_000 } as const;
      let knocks = 0;
      const wall = createServer((socket) => {
        knocks++;
        socket.destroy();
      });
      await new Promise<void>((resolve) => wall.listen(masterPort, '127.0.0.1', resolve));
      const second = init({ ...common, name: 'b', rank: 1 });
      await until(() => knocks > 0);
      await new Promise((resolve) => wall.close(resolve));
      const workers = await Promise.all([init({ ...common, name: 'a', rank: 0 }), second]);
      expect(await workers[1].rpcSync('a', add, [1, 2])).toBe(3);
      await Promise.all(workers.map((worker) => worker.shutdown()));
    } finally {
      if (given !== undefined) process.env['GRADWIRE_TOKEN'] = given;
    }
  });

  test('a wrong token is refused at once', async () => {
    await using server = await lonely();
    const options = { name: 'b', rank: 1, worldSize: 2, engine: 'cpu' } as const;
    await expect(
      init({ ...options, masterPort: server.port, token: 'other', initTimeoutMs: 10_000 }),
    ).rejects.toMatchObject({ code: 'unauthenticated' });
  });
});

describe('streams', () => {
  test('the window of a server is 1 MiB', async () => {
    await using server = await lonely();
    const session = connectHttp2(`http://127.0.0.1:${server.port}`);
    await until(() => session.remoteSettings?.initialWindowSize === WINDOW_BYTES);
    await until(() => (session.state.remoteWindowSize ?? 0) === WINDOW_BYTES);
    expect(WINDOW_BYTES).toBe(1024 * 1024);
    session.destroy();
  });

  test('both sides send 64 MB at once and are done', async () => {
    await using cluster = await startCluster({ transport: 'grpc' });
    const bytes = new Uint8Array(16 * 1024 * 1024);
    bytes.fill(7);
    const calls = [0, 1].flatMap((rank) =>
      Array.from({ length: 4 }, () =>
        cluster.at(rank).rpcAsync(1 - rank, echo<Uint8Array>, [bytes]),
      ),
    );
    for (const back of await Promise.all(calls)) expect(Buffer.from(back).equals(bytes)).toBe(true);
  });

  test('dials inside a context and then receives a call', async () => {
    await using cluster = await slot.run('of the dialler', () =>
      startCluster({ transport: 'grpc' }),
    );
    for (const [from, to] of [
      [0, 1],
      [1, 0],
    ] as const) {
      expect(await cluster.at(from).rpcSync(to, readSlot)).toBe('none');
      const inside = slot.run('of the caller', () => cluster.at(from).rpcSync(to, readSlot));
      expect(await inside).toBe('none');
      expect(await cluster.at(from).rpcSync(to, readCaller)).toBe(from);
    }
  });

  test('a worker leaves without waiting for the grace of its streams', async () => {
    const cluster = await startCluster({ workers: 3, transport: 'grpc' });
    const startedAt = performance.now();
    await cluster[Symbol.asyncDispose]();
    expect(performance.now() - startedAt).toBeLessThan(500);
    // One side first, from either end of the stream.
    for (const first of [0, 1]) {
      const pair = await startCluster({ transport: 'grpc', leave: { graceful: false } });
      const at = performance.now();
      await pair.at(first).shutdown({ graceful: false });
      await pair.at(1 - first).shutdown({ graceful: false });
      expect(performance.now() - at).toBeLessThan(500);
      await pair[Symbol.asyncDispose]();
    }
  });
});
