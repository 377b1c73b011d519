/** Wrong use is refused where it happens, and harms nothing that comes after. */
import { expect, test } from '@jest/globals';
import { register } from '../../rpc/registry.ts';
import { startCluster } from '../support/cluster.ts';
import { add } from '../support/services.ts';

test('a barrier that timed out is met at the next attempt', async () => {
  await using cluster = await startCluster({ workers: 2, transport: 'memory' });
  const [a, b] = [cluster.at(0), cluster.at(1)];
  await expect(a.barrier(undefined, { timeoutMs: 30 })).rejects.toThrow(/^deadline_exceeded/);
  await Promise.all([a.barrier(), b.barrier()]);
  await Promise.all([b.barrier(), a.barrier()]);
});

test('no worker, no list of arguments, no record of functions', async () => {
  await using cluster = await startCluster({ workers: 2, transport: 'memory' });
  const worker = cluster.at(0);
  const nobody = undefined as unknown as string;
  expect(() => worker.rpcAsync(nobody, add, [1, 2])).toThrow(/^invalid_argument: undefined is no/);
  for (const args of ['ab', 5, {}]) {
    const wrong = args as unknown as [number, number];
    expect(() => worker.rpcAsync(1, add, wrong)).toThrow(/^invalid_argument: the arguments of add/);
  }
  expect(() => register(null as unknown as Record<string, never>)).toThrow(
    /^invalid_argument: register takes/,
  );
  expect(await worker.rpcSync(1, add, [1, 2])).toBe(3);
});
