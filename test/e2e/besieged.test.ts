/** Floods against a worker in a process of its own (T10, T12): it refuses, stays small, and goes on serving. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { JOIN, METADATA, PROTOCOL } from '../../rpc/grpc/service.ts';
import { fixture } from '../support/cli.ts';
import { freePort } from '../support/cluster.ts';
import { block, call, FRAME, frame, RawHttp2 } from '../support/raw-http2.ts';
import { until } from '../support/until.ts';

interface Harm {
  readonly grownMb: number;
  readonly stallMs: number;
}

const SLOW_MS = 60_000;
const MEGABYTE = Buffer.alloc(2 ** 20);
const FRAME_BYTES = 16_384;
const MEMBER = { [METADATA.token]: 'secret', [METADATA.protocol]: PROTOCOL };
/** What a loaded machine may add; quiet ones are measured by hand. */
const STALL_LIMIT_MS = 1_500;

let child: ChildProcess;
let port: number;

beforeAll(async () => {
  port = await freePort();
  child = fork(fixture('besieged'), [String(port)]);
  await once(child, 'message');
}, SLOW_MS);
afterAll(async () => {
  const over = once(child, 'exit');
  child.disconnect();
  await over;
});

async function ask(message: 'begin' | 'end'): Promise<Harm> {
  child.send(message);
  const [harm] = await once(child, 'message');
  return harm as Harm;
}

/** What an attack does; after it the worker must serve as before. */
async function attacked(attack: () => Promise<void>): Promise<Harm> {
  await ask('begin');
  await attack();
  const harm = await ask('end');
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(MEMBER)) metadata.set(key, value);
  const text = await new Promise<string>((resolve) => {
    const request = { name: 'b', rank: 1, worldSize: 5, incarnation: 'i', timeoutMs: 1 };
    const { path, requestSerialize, responseDeserialize } = JOIN;
    client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadata,
      {},
      (error, reply) => resolve(error?.message ?? String(reply?.refusal?.code)),
    );
  });
  client.close();
  expect(text).toBe('group_mismatch');
  if (process.env['GRADWIRE_TEST_SAY'] === '1')
    console.log(expect.getState().currentTestName, harm);
  return harm;
}

/** Whether the worker has said that it takes no more, or has hung up. */
const hasEnded = (raw: RawHttp2): boolean => raw.isOver || raw.count(FRAME.goaway) > 0;
/** Waits for room, or for the end. */
const room = (raw: RawHttp2): Promise<unknown> =>
  until(() => hasEnded(raw) || raw.waitingBytes < 2 ** 22, SLOW_MS);

test(
  '200 MB of a call without the token are refused before they are read',
  async () => {
    const harm = await attacked(async () => {
      const raw = await RawHttp2.open(port);
      raw.send(call(1, JOIN.path, { [METADATA.protocol]: PROTOCOL }));
      const part = frame(FRAME.data, 1, MEGABYTE.subarray(0, FRAME_BYTES));
      for (let sent = 0; sent < 200 * 2 ** 20 && !hasEnded(raw); sent += FRAME_BYTES) {
        raw.send(part);
        if (sent % 2 ** 22 === 0) await room(raw);
      }
      raw.close();
    });
    expect(harm.grownMb).toBeLessThan(50);
  },
  SLOW_MS,
);

test.each([
  ['with the token', MEMBER],
  ['without the token', {}],
])(
  '20,000 idle streams on one connection: %s',
  async (_, fields) => {
    const harm = await attacked(async () => {
      const raw = await RawHttp2.open(port);
      for (let i = 0; i < 20_000 && !hasEnded(raw); i++) {
        raw.send(call(2 * i + 1, JOIN.path, fields));
        if (i % 500 === 0) await room(raw);
      }
      const { reset, goaway, headers } = FRAME;
      await until(
        () => raw.isOver || raw.count(reset) + raw.count(goaway) + raw.count(headers) > 1_000,
        SLOW_MS,
      );
      raw.close();
    });
    expect(harm.grownMb).toBeLessThan(150);
    expect(harm.stallMs).toBeLessThan(STALL_LIMIT_MS);
  },
  SLOW_MS,
);

test(
  'streams that are reset at once: the connection ends',
  async () => {
    const harm = await attacked(async () => {
      const raw = await RawHttp2.open(port);
      const code = Buffer.alloc(4);
      for (let i = 0; i < 50_000 && !hasEnded(raw); i++) {
        raw.send(call(2 * i + 1, JOIN.path, MEMBER));
        raw.send(frame(FRAME.reset, 2 * i + 1, code));
        if (i % 500 === 0) await room(raw);
      }
      await until(() => hasEnded(raw), SLOW_MS);
      raw.close();
    });
    expect(harm.grownMb).toBeLessThan(200);
  },
  SLOW_MS,
);

test(
  'header fields without end: the connection ends',
  async () => {
    await attacked(async () => {
      const raw = await RawHttp2.open(port);
      raw.send(frame(FRAME.headers, 1, block(JOIN.path, {})));
      for (let i = 0; i < 10_000 && !hasEnded(raw); i++) {
        raw.send(frame(FRAME.continuation, 1, block('/x', {})));
        if (i % 500 === 0) await room(raw);
      }
      await until(() => hasEnded(raw), SLOW_MS);
      raw.close();
    });
  },
  SLOW_MS,
);

test(
  'pings without end: answered, or the connection ends',
  async () => {
    const harm = await attacked(async () => {
      const raw = await RawHttp2.open(port);
      const ping = frame(FRAME.ping, 0, Buffer.alloc(8));
      for (let i = 0; i < 50_000 && !hasEnded(raw); i++) {
        raw.send(ping);
        if (i % 1_000 === 0) await room(raw);
      }
      await until(() => raw.isOver || raw.count(FRAME.ping) > 1_000, SLOW_MS);
      raw.close();
    });
    expect(harm.grownMb).toBeLessThan(100);
  },
  SLOW_MS,
);
