/** Groups of many: 64 workers in one process, and eight processes that all call each other. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { freePort, startCluster } from '../support/cluster.ts';
import { DynamicCluster, seenBy } from '../support/dynamic.ts';
import { add } from '../support/services.ts';
import { until } from '../support/until.ts';

const MANY = 64;

test('64 workers of a static group, over memory', async () => {
  await using cluster = await startCluster({ workers: MANY, transport: 'memory' });
  const sums = cluster.workers.flatMap((from) => {
    return cluster.workers.map((to) => from.rpcSync(to.info, add, [from.info.id, to.info.id]));
  });
  const total = (await Promise.all(sums)).reduce((sum, value) => sum + value, 0);
  expect(total).toBe(MANY * MANY * (MANY - 1));
  await Promise.all(cluster.workers.map((worker) => worker.barrier()));
}, 60_000);

test('64 workers of a dynamic group, over memory', async () => {
  await using group = await DynamicCluster.make({ transport: 'memory', initTimeoutMs: 30_000 });
  const workers = await group.grow(MANY);
  await until(() => workers.every((worker) => seenBy(worker).length === MANY), 20_000);
  const calls = workers.map((from) => from.rpcSync((from.info.id + 31) % MANY, add, [1, 1]));
  expect(new Set(await Promise.all(calls))).toEqual(new Set([2]));
}, 60_000);

test('eight processes that all call each other, over grpc', async () => {
  const port = await freePort();
  const script = fileURLToPath(new URL('../fixtures/group-member.js', import.meta.url));
  const children: ChildProcess[] = [];
  let output = '';
  try {
    for (let rank = 7; rank >= 0; rank--) {
      const child = spawn(process.execPath, [script, `${rank}`, '8', `${port}`], {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { ...process.env, GRADWIRE_TOKEN: 'secret' },
      });
      child.stdout?.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
      children.push(child);
    }
    const codes = await Promise.all(children.map(async (child) => (await once(child, 'close'))[0]));
    expect(codes).toEqual(Array(8).fill(0));
    const ranks = [0, 1, 2, 3, 4, 5, 6, 7];
    const expected = ranks.map((r) => `${r}: ${ranks.map((other) => r + other).join(' ')}`);
    expect(output.trim().split('\n').sort()).toEqual(expected);
  } finally {
    for (const child of children) child.kill('SIGKILL');
  }
}, 60_000);
