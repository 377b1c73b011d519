import { describe, expect, test } from '@jest/globals';
import { HEADER_BYTES, writeHeader } from '../../rpc/frame.ts';
import type { MessageKind } from '../../rpc/message.ts';
import { type Packet, pack } from '../../rpc/packet.ts';
import type { Connection } from '../../rpc/transport.ts';
import { connectionPair } from '../../rpc/transport-memory.ts';
import type { WorkerNode } from '../../rpc/worker.ts';
import { startCluster } from '../support/cluster.ts';
import { add } from '../support/services.ts';
import { count, freshStreams } from '../support/streams.ts';
import { until } from '../support/until.ts';

interface Message {
  readonly kind: MessageKind;
  readonly id: number;
  readonly head?: unknown;
  readonly body?: unknown;
  readonly meta?: unknown;
}

/** A member whose every byte the test decides. */
class Peer {
  readonly #end: Connection;
  isCut = false;
  received = 0;

  constructor(worker: WorkerNode) {
    const identity = { rank: 7, incarnation: 'x' };
    const [mine, theirs] = connectionPair(identity, identity);
    worker.attach(theirs);
    this.#end = mine;
    mine.start({
      data: (chunk) => {
        this.received += chunk.length;
      },
      drain: () => {},
      close: () => {
        this.isCut = true;
      },
    });
  }

  raw(bytes: Uint8Array): void {
    this.#end.write(bytes);
  }

  frame(kind: MessageKind, id: number, part: Uint8Array): void {
    const length = part.byteLength;
    const buffer = Buffer.alloc(HEADER_BYTES + Math.ceil(length / 8) * 8);
    writeHeader(buffer, 0, { kind, id, length, offset: 0, total: length });
    buffer.set(part, HEADER_BYTES);
    this.raw(buffer);
  }

  send({ kind, id, head = null, body = null, meta = null }: Message): void {
    const packet = pack({ head, body, bodyName: 'x' }, [], () => meta) as Packet;
    this.frame(kind, id, Buffer.concat(packet.parts));
  }

  close(): void {
    this.#end.close();
  }
}

const META = { timeoutMs: 1000 };
const BAD_HEADS = [
  null,
  5,
  'x',
  [],
  [1],
  [null, null],
  [{}, {}, {}],
  ['no id', 'no fork', 'add'],
  ['0.1', 7, -1],
  ['0.1', '0.2', { length: 1e9 }],
  [['0.1'], ['0.2'], 1.5],
  ['7.1', '7.2', 'toString'],
  ['k', [Number.NaN], true],
  ['k', 'ranks', true],
  ['__proto__', '__proto__', '__proto__', '__proto__'],
];
const BAD_STREAMS = [
  { timeoutMs: 5, unknown: {} },
  { timeoutMs: 5, stream: -1 },
  { timeoutMs: 5, stream: {} },
  { timeoutMs: 5, stream: 1 },
];
const KINDS: MessageKind[] = [
  'call',
  'method',
  'remote',
  'fetch',
  'type',
  'references',
  'barrier',
  'mark',
  'gradient',
  'passDone',
  'finish',
  'release',
  'backward',
  'reply',
  'failure',
  'cancel',
  'streamCredit',
  'streamItem',
];

describe('a peer that is authenticated and lies', () => {
  test('sends heads, bodies and metas of every wrong shape (G8)', async () => {
    await using cluster = await startCluster({ transport: 'memory' });
    const worker = cluster.at(0);
    const peer = new Peer(worker);
    let id = 1;
    for (const kind of KINDS) {
      for (const head of BAD_HEADS) {
        peer.send({ kind, id: id++, head, body: [], meta: META });
        peer.send({ kind, id: 0, head, body: [], meta: META });
      }
      for (const meta of [null, 5, [], {}, { timeoutMs: 'x' }, { timeoutMs: -1 }, ...BAD_STREAMS]) {
        peer.send({ kind, id: id++, head: ['add'], body: [1, 2], meta });
      }
      for (const body of [null, 5, { length: 3 }, 'args']) {
        peer.send({ kind, id: id++, head: ['add', '7.8', 'add'], body, meta: META });
      }
    }
    await until(() => peer.received > 1000);
    await until(() => worker.endpoint.runningCount === 0, 10_000);
    expect(peer.isCut).toBe(false);
    expect(await cluster.at(1).rpcSync(0, add, [1, 2])).toBe(3);
    peer.close();
    await until(() => !worker.endpoint.isConnected(7));
  });

  test('answers what nobody asked, and nonsense to what was asked', async () => {
    await using cluster = await startCluster({ transport: 'memory' });
    const worker = cluster.at(0);
    const peer = new Peer(worker);
    const failures: Promise<unknown>[] = [];
    for (const body of [null, 5, {}, { code: {}, message: [] }, { message: 1, peer: 5 }]) {
      const request = { peer: 7, kind: 'call', timeoutMs: 5000, what: 'x', bodyName: 'x' } as const;
      const answer = worker.endpoint.request({ ...request, head: [], body: [] });
      failures.push(answer.catch((error) => error.code));
      const id = failures.length + 0;
      peer.send({ kind: 'failure', id, body });
      peer.send({ kind: 'reply', id: 1000 + id, body });
    }
    const codes = await Promise.all(failures);
    expect(codes).toEqual([
      'protocol_error',
      'protocol_error',
      'remote_error',
      'remote_error',
      'remote_error',
    ]);
    peer.close();
  });

  test('grants more items than it could ever take, and sends more than it was granted', async () => {
    await using cluster = await startCluster({ transport: 'memory' });
    const worker = cluster.at(0);
    const peer = new Peer(worker);
    const seen = freshStreams();
    const meta = { timeoutMs: 60_000, stream: 2 ** 50 };
    peer.send({ kind: 'call', id: 1, head: ['count'], body: [1e9], meta });
    await until(() => seen.pulled > 0);
    peer.frame('streamCredit', 1, Buffer.alloc(6, 0xff));
    expect(await cluster.at(1).rpcSync(0, add, [1, 2])).toBe(3);
    await until(() => seen.pulled > 1_000);
    expect(seen.pulled).toBeLessThanOrEqual(2_001);
    peer.frame('cancel', 1, Buffer.alloc(6));
    await until(() => seen.ended.length > 0);
    const items = worker.rpcStream(1, count, [0]);
    expect(await items[Symbol.asyncIterator]().next()).toEqual({ done: true, value: undefined });
    peer.close();
  });

  test.each<[string, (peer: Peer) => void]>([
    ['garbage', (peer) => peer.raw(Buffer.alloc(64, 0xab))],
    ['an unknown kind', (peer) => peer.raw(Buffer.alloc(24, 0))],
    ['a part that is too long', (peer) => peer.raw(headerOnly(2 ** 21, 0, 2 ** 21))],
    ['a segment that begins in the middle', (peer) => peer.raw(headerOnly(8, 8, 64))],
    ['a large message that was not let in', (peer) => peer.raw(headerOnly(8, 0, 2 ** 30))],
    ['an offer over the limit', (peer) => peer.frame('offer', 0, Buffer.alloc(6, 0xff))],
    ['a grant unasked for', (peer) => peer.frame('grant', 0, Buffer.alloc(6))],
    ['a refusal of room it was not given', (peer) => peer.frame('decline', 0, Buffer.alloc(6))],
    ['a number that is none', (peer) => peer.frame('credit', 0, Buffer.alloc(5))],
  ])('loses its connection for %s, and nothing else happens', async (_, attack) => {
    await using cluster = await startCluster({ transport: 'memory' });
    const peer = new Peer(cluster.at(0));
    attack(peer);
    peer.raw(Buffer.alloc(8));
    await until(() => peer.isCut);
    expect(cluster.at(0).endpoint.isConnected(7)).toBe(false);
    expect(await cluster.at(1).rpcSync(0, add, [1, 2])).toBe(3);
  });

  test('sends more messages at once than may take turns', async () => {
    await using cluster = await startCluster({ transport: 'memory' });
    const peer = new Peer(cluster.at(0));
    for (let id = 1; id <= 3; id++) {
      const header = headerOnly(8, 0, 64);
      header.writeUInt32LE(id, 8);
      peer.raw(Buffer.concat([header, Buffer.alloc(8)]));
    }
    await until(() => peer.isCut);
  });

  test('random bytes in messages of every kind', async () => {
    await using cluster = await startCluster({ transport: 'memory', leave: { graceful: false } });
    const worker = cluster.at(0);
    const peer = new Peer(worker);
    let state = 1;
    const next = (): number => {
      state = (state * 48271) % 0x7fffffff;
      return state;
    };
    for (let i = 0; i < 2000; i++) {
      const kind = KINDS[next() % KINDS.length] as MessageKind;
      const packet = pack(
        { head: ['0.1', '0.2', 0], body: [1, 'x'], bodyName: 'x' },
        [],
        () => META,
      );
      const bytes = Buffer.concat((packet as Packet).parts);
      for (let flips = next() % 4; flips >= 0; flips--) {
        const at = next() % bytes.length;
        bytes[at] = (bytes[at] ?? 0) ^ (1 << (next() % 8));
      }
      peer.frame(
        kind,
        next() % 3,
        bytes.subarray(0, next() % 5 === 0 ? next() % bytes.length : undefined),
      );
      if (i % 100 === 0) await new Promise(setImmediate);
    }
    expect(await cluster.at(1).rpcSync(0, add, [1, 2])).toBe(3);
    expect(peer.isCut).toBe(false);
    peer.close();
    await until(() => !worker.endpoint.isConnected(7));
  });
});

function headerOnly(length: number, offset: number, total: number): Buffer {
  const buffer = Buffer.alloc(HEADER_BYTES);
  buffer.writeUInt32LE(1, 0);
  buffer.writeUInt32LE(length, 4);
  buffer.writeUInt32LE(1, 8);
  buffer.writeUIntLE(offset, 12, 6);
  buffer.writeUIntLE(total, 18, 6);
  return buffer;
}
