import { connect as connectHttp2 } from 'node:http2';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Client, type ClientReadableStream, credentials, Metadata, status } from '@grpc/grpc-js';
import { describe, expect, test } from '@jest/globals';
import {
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
} from '../../rpc/grpc/gen/health_pb.ts';
import { METADATA, OPEN, PROTOCOL } from '../../rpc/grpc/service.ts';
import { GrpcTransport } from '../../rpc/grpc/transport.ts';
import { init } from '../../rpc/init.ts';
import { startEngine } from '../../tensor/index.ts';
import { freePort } from '../support/cluster.ts';
import { until } from '../support/until.ts';

const [SERVING, NOT_SERVING, SERVICE_UNKNOWN] = [1, 2, 3];
const ask = (service: string): Buffer =>
  Buffer.from(toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema, { service })));
const statusOf = (bytes: Buffer): number => fromBinary(HealthCheckResponseSchema, bytes).status;

/** A client that has no token. */
class Probe {
  readonly #client: Client;

  constructor(port: number) {
    this.#client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  }

  check(service = ''): Promise<number | undefined> {
    return new Promise((resolve) => {
      const path = '/grpc.health.v1.Health/Check';
      this.#client.makeUnaryRequest(path, ask, statusOf, service, (error, value) =>
        resolve(error === null ? value : -error.code),
      );
    });
  }

  watch(service = ''): { seen: number[]; stream: ClientReadableStream<number> } {
    const path = '/grpc.health.v1.Health/Watch';
    const stream = this.#client.makeServerStreamRequest(path, ask, statusOf, service);
    const seen: number[] = [];
    stream.on('data', (value: number) => seen.push(value));
    stream.on('error', () => {});
    return { seen, stream };
  }

  close(): void {
    this.#client.close();
  }
}

async function node(): Promise<{
  port: number;
  node: Awaited<ReturnType<GrpcTransport['start']>>;
}> {
  const masterPort = await freePort();
  const started = await new GrpcTransport().start({
    ...{ name: 'a', rank: 0, worldSize: 2, incarnation: 'x', token: 'secret', host: undefined },
    ...{ masterAddr: '127.0.0.1', masterPort, group: undefined, accept: () => {} },
  });
  return { port: masterPort, node: started };
}

describe('the health of a worker', () => {
  test('is asked without a token, and follows it from joining to leaving', async () => {
    const { port, node: worker } = await node();
    const probe = new Probe(port);
    expect(await probe.check()).toBe(NOT_SERVING);
    const { seen } = probe.watch();
    await until(() => seen.length === 1);
    worker.ready?.();
    await until(() => seen.length === 2);
    expect(await probe.check()).toBe(SERVING);
    await worker.close();
    await until(() => seen.length === 3);
    expect(seen).toEqual([NOT_SERVING, SERVING, NOT_SERVING]);
    probe.close();
  });

  test('is that of the worker alone', async () => {
    const { port, node: worker } = await node();
    const probe = new Probe(port);
    expect(await probe.check('gradwire.v1.Worker')).toBe(-status.NOT_FOUND);
    const { seen } = probe.watch('other');
    await until(() => seen.length === 1);
    expect(seen).toEqual([SERVICE_UNKNOWN]);
    probe.close();
    await worker.close();
  });

  test('64 can watch', async () => {
    const { port, node: worker } = await node();
    const probe = new Probe(port);
    const many = Array.from({ length: 64 }, () => probe.watch());
    await until(() => many.every(({ seen }) => seen.length === 1));
    const { stream } = probe.watch();
    const { code } = await new Promise<{ code: number }>((resolve) => stream.on('status', resolve));
    expect(code).toBe(status.RESOURCE_EXHAUSTED);
    many[0]?.stream.cancel();
    await until(async () => {
      const { seen, stream: another } = probe.watch();
      await new Promise((resolve) => another.once('data', resolve).once('error', resolve));
      return seen.length === 1;
    });
    probe.close();
    await worker.close();
  });

  test('a worker that has joined serves', async () => {
    await startEngine('cpu');
    const masterPort = await freePort();
    const group = { name: 'alone', rank: 0, worldSize: 1, masterPort, token: 'secret' } as const;
    const worker = await init({ ...group, engine: 'cpu' });
    const probe = new Probe(masterPort);
    expect(await probe.check()).toBe(SERVING);
    probe.close();
    await worker.shutdown();
  });
});

describe('limits of a connection (T12)', () => {
  test('a server takes 256 streams of a connection', async () => {
    const { port, node: worker } = await node();
    const session = connectHttp2(`http://127.0.0.1:${port}`);
    await until(() => session.remoteSettings?.maxConcurrentStreams === 256);
    session.destroy();
    await worker.close();
  });

  test('eight connections of one rank are open at a time', async () => {
    const { port, node: worker } = await node();
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
    const open = (): Promise<number> => {
      const metadata = new Metadata();
      metadata.set(METADATA.token, 'secret');
      metadata.set(METADATA.protocol, PROTOCOL);
      metadata.set(METADATA.rank, '1');
      metadata.set(METADATA.incarnation, 'y');
      const same = (bytes: Buffer): Buffer => bytes;
      const stream = client.makeBidiStreamRequest(OPEN.path, same, same, metadata);
      stream.on('error', () => {});
      stream.resume();
      return new Promise((resolve) => {
        stream.once('metadata', () => resolve(0));
        stream.once('status', ({ code }: { code: number }) => resolve(code));
      });
    };
    for (let i = 0; i < 8; i++) expect(await open()).toBe(0);
    expect(await open()).toBe(status.RESOURCE_EXHAUSTED);
    client.close();
    await worker.close();
  });
});
