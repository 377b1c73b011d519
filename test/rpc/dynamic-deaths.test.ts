/** Workers of a dynamic group that die, at any moment, while others come and go. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { GrpcTransport } from '../../rpc/grpc/transport.ts';
import { MemoryTransport } from '../../rpc/transport-memory.ts';
import { TRANSPORTS } from '../support/cluster.ts';
import { DynamicCluster, seenBy } from '../support/dynamic.ts';
import { MortalTransport } from '../support/mortal.ts';
import { runs } from '../support/runs.ts';
import { add } from '../support/services.ts';
import { until } from '../support/until.ts';

/** One dies after some steps, early or late, while another joins; the rest must not care. */
async function survive(transport: 'memory' | 'grpc', steps: number): Promise<void> {
  const base = transport === 'grpc' ? new GrpcTransport() : new MemoryTransport();
  await using group = await DynamicCluster.make({ transport: base });
  await group.grow(3);
  const mortal = new MortalTransport(base, steps);
  const dying = group.join(3, { transport: mortal, initTimeoutMs: 2_000 }).then(
    (worker) => worker,
    () => undefined,
  );
  const other = await group.join(4);
  const calls = [0, 1, 2].map((rank) => other.rpcSync(rank, add, [rank, 1]));
  expect(await Promise.all(calls)).toEqual([1, 2, 3]);
  const worker = await dying;
  if (worker !== undefined) {
    // It was in: it works until it dies, by its own steps.
    while (!mortal.isDead) await worker.rpcSync(0, add, [1, 1]).catch(() => undefined);
    await worker.shutdown({ graceful: false });
  }
  const expected = ['worker0', 'worker1', 'worker2', 'worker4'];
  const rest = [0, 1, 2, 4].map((rank) => group.at(rank));
  await until(() => rest.every((one) => `${seenBy(one)}` === `${expected}`), 10_000);
  await group.at(1).shutdown();
  await until(() => rest.every((one) => one.info.id === 1 || seenBy(one).length === 3));
}

test('a worker that dies at any step of joining or working disturbs nobody (memory)', async () => {
  for (let steps = 0; steps <= 24; steps++) await survive('memory', steps);
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 80 }), (steps) => survive('memory', steps)),
    runs(8),
  );
}, 60_000);

test('a worker that dies at some steps of joining or working disturbs nobody (grpc)', async () => {
  for (const steps of [0, 1, 2, 3, 4, 5, 7, 9, 12, 15, 20, 30]) await survive('grpc', steps);
}, 60_000);

test.each(TRANSPORTS)(
  'one dies while twenty join (%s)',
  async (transport) => {
    const base = transport === 'grpc' ? new GrpcTransport() : new MemoryTransport();
    await using group = await DynamicCluster.make({ transport: base });
    await group.grow(2);
    const mortal = await group.join(40, { transport: new MortalTransport(base, 60) });
    const ranks = Array.from({ length: 20 }, (_, index) => index + 2);
    const joined = await Promise.all(ranks.map((rank) => group.join(rank)));
    while (seenBy(group.at(0)).includes('worker40')) {
      await mortal.rpcSync(0, add, [1, 1]).catch(() => undefined);
    }
    const workers = [group.at(0), group.at(1), ...joined];
    await until(() => workers.every((worker) => seenBy(worker).length === 22));
    expect(group.at(0).members.dead()).toEqual(['worker40']);
    await mortal.shutdown({ graceful: false });
  },
  60_000,
);

test('a killed process leaves its rank to the next at once', async () => {
  await using group = await DynamicCluster.make({ transport: 'grpc' });
  const first = await group.join(0);
  const script = fileURLToPath(new URL('../fixtures/group-member.js', import.meta.url));
  const start = (): ChildProcess => {
    return spawn(process.execPath, [script, '1', 'dynamic', String(group.options.masterPort)], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, GRADWIRE_TOKEN: 'secret' },
    });
  };
  for (let life = 0; life < 2; life++) {
    const child = start();
    try {
      await until(() => seenBy(first).length === 2, 20_000);
      expect(await first.rpcSync('member1', add, [1, 2])).toBe(3);
    } finally {
      child.kill('SIGKILL');
    }
    await until(() => seenBy(first).length === 1);
    expect(first.members.dead()).toEqual(['member1']);
  }
}, 60_000);
