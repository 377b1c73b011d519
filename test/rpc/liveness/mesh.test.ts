/** Liveness meshes of several processes, here in one, over real sockets; and strangers at their doors. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, test } from '@jest/globals';
import { challenge, FRAME_BYTES, NONCE_BYTES } from '../../../rpc/liveness/frame.ts';
import { Mesh } from '../../../rpc/liveness/mesh.ts';
import type { Report } from '../../../rpc/liveness/orders.ts';
import type { TlsCredentials } from '../../../rpc/tls-credentials.ts';
import { TestAuthority } from '../../support/certificates.ts';
import { until } from '../../support/until.ts';

const LIMITS = { heartbeatMs: 50, deadAfterMs: 1_000 };

/** A process with one worker. */
class Process implements Disposable {
  readonly reports: Report[] = [];
  readonly mesh = new Mesh(
    (report) => this.reports.push(report),
    () => 0,
  );
  readonly rank: number;
  readonly incarnation: string;
  port = 0;

  constructor(rank: number, incarnation = `incarnation ${rank}`) {
    this.rank = rank;
    this.incarnation = incarnation;
  }

  static async start(rank: number, token = 'secret', tls?: TlsCredentials): Promise<Process> {
    const one = new Process(rank);
    const { incarnation } = one;
    one.mesh.order({
      type: 'host',
      worker: 1,
      rank,
      incarnation,
      host: '127.0.0.1',
      port: 0,
      tls,
    });
    one.mesh.order({ type: 'token', worker: 1, token });
    const listening = await until(() => one.reports[0]);
    if (listening?.type === 'listening') one.port = listening.port;
    return one;
  }

  watch({ rank, incarnation, port }: Process, deadAfterMs = LIMITS.deadAfterMs): void {
    const address = `127.0.0.1:${port}`;
    this.mesh.order({
      type: 'watch',
      worker: 1,
      rank,
      incarnation,
      address,
      ...LIMITS,
      deadAfterMs,
    });
  }

  /** What it has said of others. */
  get said(): readonly string[] {
    return this.reports.flatMap((report) =>
      'rank' in report ? [`${report.type} ${report.rank}`] : [],
    );
  }

  [Symbol.dispose](): void {
    this.mesh.order({ type: 'leave', worker: 1 });
  }
}

test('a process that is gone is dead, and those that hear each other are not', async () => {
  using one = await Process.start(0);
  using two = await Process.start(1);
  const three = await Process.start(2);
  for (const watcher of [one, two, three]) {
    for (const other of [one, two, three]) if (other !== watcher) watcher.watch(other);
  }
  three[Symbol.dispose]();
  await until(() => one.said.includes('dead 2') && two.said.includes('dead 2'));
  expect([...one.said, ...two.said].filter((said) => !said.endsWith('2'))).toEqual([]);
  const dead = one.reports.find((report) => report.type === 'dead');
  expect(dead).toMatchObject({ note: expect.stringMatching(/its liveness port: .*ECONNREFUSED/) });
});

test('one whose own link is broken kills nobody who is heard by others', async () => {
  using one = await Process.start(0);
  using two = await Process.start(1);
  using three = await Process.start(2);
  one.watch(two);
  three.watch(two);
  one.watch(three);
  three.watch(one);
  // Its link to rank 1 leads nowhere.
  const nowhere = new Process(3, two.incarnation);
  nowhere.port = 1;
  using blind = await Process.start(4);
  blind.watch(nowhere);
  for (const other of [one, three]) {
    blind.watch(other);
    other.watch(blind);
  }
  await until(() => blind.said.includes('dead 3'));
  expect([one.said, three.said]).toEqual([[], []]);
});

test('who is told of a death, and hears nothing either, does not wait for its own limit', async () => {
  using one = await Process.start(0);
  using patient = await Process.start(1);
  const gone = await Process.start(2);
  one.watch(gone);
  one.watch(patient);
  patient.watch(one);
  patient.watch(gone, 100_000);
  gone[Symbol.dispose]();
  await until(() => patient.said.includes('dead 2'), 20_000);
  expect(patient.said).toEqual(['dead 2']);
});

test('one whose connection broke is cut off if it lives, and no more is said if it does not', async () => {
  using one = await Process.start(0);
  using alive = await Process.start(1);
  const gone = await Process.start(2);
  for (const other of [alive, gone]) one.watch(other);
  // Both are heard.
  await until(
    () =>
      one.mesh.linksOf(1) === 2 && alive.mesh.sessionsOf(1) === 1 && gone.mesh.sessionsOf(1) === 1,
  );
  gone[Symbol.dispose]();
  for (const { rank } of [alive, gone]) {
    one.mesh.order({ type: 'unwatch', worker: 1, rank, isBroken: true });
  }
  await until(() => one.mesh.linksOf(1) === 0);
  expect(one.said).toEqual(['severed 1']);
});

test('who was given up is told so, on its link and when it comes again', async () => {
  using one = await Process.start(0);
  using two = await Process.start(1);
  one.watch(two);
  two.watch(one);
  one.mesh.order({ type: 'fence', worker: 1, incarnation: two.incarnation, silentMs: 3_000 });
  await until(() => two.said.includes('fenced 0'));
  two.watch(one);
  await until(() => two.said.filter((said) => said === 'fenced 0').length === 2);
  expect(two.reports.at(-1)).toMatchObject({ type: 'fenced', silentMs: 3_000 });
});

test('another token is nobody', async () => {
  using one = await Process.start(0);
  using other = await Process.start(1, 'guess');
  other.watch(one);
  await until(() => other.said.includes('dead 0'));
  expect(one.said).toEqual([]);
});

test('with certificates, and never without', async () => {
  const tls = new TestAuthority().credentials();
  using one = await Process.start(0, 'secret', tls);
  using two = await Process.start(1, 'secret', tls);
  using plain = await Process.start(2);
  using stranger = await Process.start(3, 'secret', new TestAuthority().credentials());
  for (const other of [two, plain, stranger]) other.watch(one);
  await until(() => plain.said.includes('dead 0') && stranger.said.includes('dead 0'));
  expect(two.said).toEqual([]);
});

test('a port that is taken is refused', async () => {
  using one = await Process.start(0);
  const two = new Process(1);
  two.mesh.order({
    type: 'host',
    worker: 1,
    rank: 1,
    incarnation: 'x',
    host: '127.0.0.1',
    port: one.port,
    tls: undefined,
  });
  await until(() => two.reports.length > 0);
  expect(two.reports[0]).toMatchObject({ type: 'refused', isTaken: true });
});

/** A stranger at the door of a process. */
async function stranger({ port }: Process): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port });
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

test('strangers who talk nonsense, or nothing, are shown out and keep nobody else out', async () => {
  using one = await Process.start(0);
  using two = await Process.start(1);
  const nonsense = [
    Buffer.alloc(FRAME_BYTES, 1),
    Buffer.from('GET / HTTP/1.1\r\n\r\n'.repeat(20)),
    challenge(Buffer.alloc(NONCE_BYTES)),
    Buffer.alloc(10 * FRAME_BYTES),
  ];
  for (const bytes of nonsense) {
    const socket = await stranger(one);
    socket.resume().write(bytes);
    await once(socket, 'close');
  }
  const silent = await Promise.all(Array.from({ length: 100 }, () => stranger(one)));
  const open = new Set(silent);
  for (const socket of silent) socket.resume().once('close', () => open.delete(socket));
  two.watch(one);
  // Those who say nothing leave in time, and rank 1 is let in meanwhile.
  await until(() => open.size === 0, 10_000);
  expect(two.said).toEqual([]);
});
