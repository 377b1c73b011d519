/** Rules about connections: what they may say, and what workers meet whose connections pass through proxies. */
import { expect, test } from '@jest/globals';
import { FaultPlan } from '../../../rpc/faults/fault-plan.ts';
import { tf } from '../../../tensor/index.ts';
import { startCluster } from '../../support/cluster.ts';
import { add, echo } from '../../support/services.ts';

const WORKER = { name: 'worker1', rank: 1 };

test('rules become the conditions of each connection that they hit', () => {
  const text =
    'connection=delay:50ms,connection=cut:1KiB@2,connection=refuse@3,connection=bandwidth:2MB*1,' +
    'connection=flip:7B@4,connection=hole:0.5:3B@4-5';
  const plan = new FaultPlan(text, { seed: 1 });
  const faults = plan.connectionsOf(WORKER);
  const met = [1, 2, 3].map(() => faults?.next(0));
  expect(met).toEqual([
    { latencyMs: 50, bytesPerSecond: 2e6 },
    { latencyMs: 50, cutAfterBytes: 1024 },
    { latencyMs: 50, refuse: true },
  ]);
  expect(faults?.next(0)).toMatchObject({ flipAfterBytes: 7 });
  expect(plan.injected[0]).toMatchObject({ kind: 'connection', action: 'delay', peer: 0, nth: 1 });
});

test('what a rule leaves open is drawn by seed', () => {
  const draw = (): unknown =>
    new FaultPlan('connection=cut', { seed: 4 }).connectionsOf(WORKER)?.next(0);
  expect(draw()).toEqual(draw());
  expect(new FaultPlan('call=drop').connectionsOf(WORKER)).toBeUndefined();
});

test.each([
  ['connection=drop', 'none of cut'],
  ['connection=delay', 'needs a time'],
  ['connection=delay:5KiB', 'neither a probability'],
  ['connection=bandwidth:0.5', 'needs a number of bytes'],
  ['connection=cut:50ms', 'neither a probability'],
  ['connection=refuse:1KiB', 'neither a probability'],
])('%s is refused: %s', (text, why) => {
  expect(() => new FaultPlan(text)).toThrow(why);
});

test('workers meet through proxies, and work as they would without', async () => {
  const plan = new FaultPlan('connection=delay:20ms', { seed: 1 });
  await using cluster = await startCluster({ transport: 'grpc', workers: 3, chaos: plan });
  expect(await cluster.at(2).rpcSync('worker1', add, [1, 2])).toBe(3);
  expect(await cluster.at(0).rpcSync('worker2', echo, [['a']])).toEqual(['a']);
  // Each dials all of lower rank; those to rank 0 join too.
  const pairs = new Set(plan.injected.map(({ worker, peer }) => `${worker} ${peer}`));
  expect([...pairs].sort()).toEqual(['worker1 0', 'worker2 0', 'worker2 1']);
});

test('a connection that is cut ends calls by name', async () => {
  const plan = new FaultPlan('worker1/connection=cut:100kB@2-9', { seed: 1 });
  const leave = { graceful: false };
  await using cluster = await startCluster({ transport: 'grpc', chaos: plan, leave });
  const bytes = new Uint8Array(1_000_000);
  await expect(cluster.at(1).rpcSync('worker0', echo, [bytes])).rejects.toMatchObject({
    code: 'unavailable',
    peer: 'worker0',
    maybeExecuted: true,
  });
});

test('a member that cannot be reached is named', async () => {
  const chaos = new FaultPlan('connection=refuse', { seed: 1 });
  const start = startCluster({ transport: 'grpc', chaos, initTimeoutMs: 1_000 });
  await expect(start).rejects.toMatchObject({ code: 'init_timeout' });
});

test('memory has no connections to disturb', async () => {
  const start = startCluster({ transport: 'memory', chaos: 'connection=cut' });
  await expect(start).rejects.toThrow('memory is none');
});

test('bytes that were changed on the way end the connection: F46', async () => {
  const chaos = new FaultPlan('worker1/connection=flip:100kB@2-9', { seed: 1 });
  const leave = { graceful: false };
  const group = { transport: 'grpc', chaos, leave, checksums: true } as const;
  await using cluster = await startCluster(group);
  const given = tf.ones([250, 1_000]);
  const call = cluster.at(1).rpcSync('worker0', echo, [given]);
  await expect(call).rejects.toMatchObject({ code: 'unavailable', peer: 'worker0' });
  given.dispose();
  await expect(call).rejects.toThrow('checksum');
});

test('with checksums workers work as they would without', async () => {
  await using cluster = await startCluster({ transport: 'grpc', checksums: true });
  const bytes = Uint8Array.from({ length: 3_000_000 }, (_, i) => i);
  const back = await cluster.at(1).rpcSync('worker0', echo, [bytes]);
  expect(Buffer.compare(back as Uint8Array, bytes)).toBe(0);
  expect(await cluster.at(0).rpcSync('worker1', add, [1, 2])).toBe(3);
});
