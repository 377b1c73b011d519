import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { init } from '../../rpc/init.ts';
import { named } from '../../rpc/registry.ts';
import { freePort, TRANSPORTS } from '../support/cluster.ts';
import { until } from '../support/until.ts';

/** Runs a compiled script of test/fixtures in plain Node, as users do. */
function run(script: string, ...args: string[]): { child: ChildProcess; output: () => string } {
  const path = fileURLToPath(new URL(`../fixtures/${script}.js`, import.meta.url));
  const child = spawn(process.execPath, [path, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  return { child, output: () => output };
}

test.each(TRANSPORTS)('a process with two workers ends by itself (%s)', async (transport) => {
  const { child, output } = run('two-workers', String(await freePort()), transport);
  try {
    const startedAt = performance.now();
    await until(() => output().includes('left'), 15_000);
    const [code] = await once(child, 'exit');
    expect([code, output()]).toEqual([0, 'result 2 4\nleft\n']);
    expect(performance.now() - startedAt).toBeLessThan(15_000);
  } finally {
    child.kill('SIGKILL');
  }
});

test('a killed process is noticed at once, and not waited for', async () => {
  const masterPort = await freePort();
  const { child, output } = run('lone-worker', String(masterPort));
  try {
    const options = { name: 'a', rank: 0, worldSize: 2, token: 'secret', engine: 'cpu' } as const;
    const worker = await init({ ...options, masterPort, initTimeoutMs: 15_000 });
    const call = worker.rpcAsync('b', named<() => void>('held'));
    await until(() => output().includes('held'));
    const killedAt = performance.now();
    child.kill('SIGKILL');
    await expect(call).rejects.toMatchObject({
      code: 'unavailable',
      peer: 'b',
      maybeExecuted: true,
    });
    expect(performance.now() - killedAt).toBeLessThan(1000);
    expect(() => worker.rpcAsync('b', named<() => void>('held'))).toThrow(/^unavailable/);
    expect(await worker.shutdown()).toEqual({
      drained: false,
      cancelled: 0,
      dead: ['b'],
      leaked: [],
    });
    expect(performance.now() - killedAt).toBeLessThan(2000);
  } finally {
    child.kill('SIGKILL');
  }
});
