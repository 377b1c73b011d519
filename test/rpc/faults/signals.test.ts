/** Faults by the environment, and those that end or stop the process that injects them: in real processes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { until } from '../../support/until.ts';

const RPC = JSON.stringify(new URL('../../../rpc/index.js', import.meta.url).href);
/** Calls itself three times, and says which have been answered. */
const PROGRAM = `
import * as rpc from ${RPC};
function say(number) { console.log('ran', number); }
rpc.register({ say });
const worker = await rpc.init({ name: 'self', rank: 0, worldSize: 1, transport: 'memory', engine: 'cpu' });
for (const number of [1, 2, 3]) {
  await worker.rpcSync('self', say, [number], { timeoutMs: 500 }).catch(({ code }) => console.log(code));
}
await worker.shutdown({ timeoutMs: 1000 });
console.log('over');
`;

/** A process with faults that ends with the test. */
class Victim implements AsyncDisposable {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';
  readonly ended: Promise<unknown>;

  constructor(env: Readonly<Record<string, string>>) {
    const flags = ['--disallow-code-generation-from-strings', '--input-type=module', '-e', PROGRAM];
    this.child = spawn(process.execPath, flags, { env: { ...process.env, ...env } });
    this.ended = once(this.child, 'close');
    this.child.stdout?.on('data', (text) => {
      this.stdout += text;
    });
    this.child.stderr?.on('data', (text) => {
      this.stderr += text;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }
}

test('faults of the environment befall every worker of the process, and are shown', async () => {
  await using victim = new Victim({ GRADWIRE_CHAOS: 'call=drop@2', GRADWIRE_CHAOS_SEED: '5' });
  await victim.ended;
  expect(victim.stdout.split('\n')).toEqual(['ran 1', 'deadline_exceeded', 'ran 3', 'over', '']);
  expect(victim.stderr).toContain('self injects faults: call=drop@2 (seed 5)');
});

test('a rule in the environment that makes no sense is refused before anything is started', async () => {
  await using victim = new Victim({ GRADWIRE_CHAOS: 'call=lose' });
  await victim.ended;
  expect(victim.child.exitCode).toBe(1);
  expect(victim.stderr).toContain('invalid_argument');
});

test.each([
  ['call=kill@2', 'ran 1\n'],
  ['call.received=kill@2', 'ran 1\n'],
  ['reply=kill@2', 'ran 1\nran 2\n'],
])('%s ends the process there', async (rule, stdout) => {
  await using victim = new Victim({ GRADWIRE_CHAOS: rule });
  await victim.ended;
  expect([victim.child.signalCode, victim.stdout]).toEqual(['SIGKILL', stdout]);
  expect(victim.stderr).toContain('a fault was injected: SIGKILL to self');
});

test('a process that stops itself goes on when it is told to', async () => {
  await using victim = new Victim({ GRADWIRE_CHAOS: 'call=stop@3' });
  const { child } = victim;
  await until(() => /\) T /.test(readFileSync(`/proc/${child.pid}/stat`, 'utf8')), 20_000);
  await until(() => victim.stdout === 'ran 1\nran 2\n');
  child.kill('SIGCONT');
  await victim.ended;
  expect(victim.stdout).toContain('over');
  expect(child.exitCode).toBe(0);
});
