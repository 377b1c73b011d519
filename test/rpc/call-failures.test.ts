/** Every way in which a call ends without a result says who, how far it came, for how long, and whether it may have run. */
import { expect, test } from '@jest/globals';
import { type GradwireError, isGradwireError } from '../../errors.ts';
import { FaultPlan } from '../../rpc/faults/fault-plan.ts';
import { named, register } from '../../rpc/registry.ts';
import type { WorkerNode } from '../../rpc/worker.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import { add, current, echo, fail, held, newGate } from '../support/services.ts';
import { until } from '../support/until.ts';

function hostile(): never {
  throw new TypeError(`\u001b[31mred\u0007 ${'x'.repeat(50_000)}`);
}
register({ hostile });

type Fails = (caller: WorkerNode, plan: FaultPlan, callee: WorkerNode) => Promise<unknown>;

const WAYS: readonly (readonly [string, Partial<GradwireError>, Fails])[] = [
  ['remote_error', { stage: 'execute', maybeExecuted: true }, (a) => a.rpcSync(1, fail, ['range'])],
  [
    'unknown_function',
    { stage: 'receive', maybeExecuted: false },
    (a) => a.rpcSync(1, named<() => void>('nowhere')),
  ],
  [
    'deadline_exceeded',
    { stage: 'call', maybeExecuted: true },
    (a) => a.rpcSync(1, held, ['x'], { timeoutMs: 20 }),
  ],
  [
    'cancelled',
    { stage: 'call', maybeExecuted: true },
    async (a) => {
      const controller = new AbortController();
      const { gate } = current;
      const call = a.rpcSync(1, held, ['x'], { signal: controller.signal });
      await until(() => gate.arrived === 1);
      controller.abort();
      await call;
    },
  ],
  [
    'unavailable',
    { stage: 'send', maybeExecuted: false },
    (a, plan) => {
      plan.set('worker0/call=fail');
      return a.rpcSync(1, add, [1, 1]);
    },
  ],
  [
    'message_too_large',
    { stage: 'send', maybeExecuted: false },
    (a) => a.rpcSync(1, echo, [new Uint8Array(200_000)]),
  ],
  [
    'unavailable',
    { stage: 'call', maybeExecuted: true },
    async (a) => {
      const { gate } = current;
      const call = a.rpcSync(1, held, ['x']);
      await until(() => gate.arrived === 1);
      a.endpoint.cut(1, new Error('cut by the test'));
      await call;
    },
  ],
  [
    'shut_down',
    { stage: 'call', maybeExecuted: true },
    async (a) => {
      const { gate } = current;
      const call = a.rpcSync(1, held, ['x']);
      await until(() => gate.arrived === 1);
      await Promise.all([call, a.shutdown({ graceful: false })]);
    },
  ],
];

test.each(TRANSPORTS)('over %s, each failure has all its fields', async (transport) => {
  for (const [code, expected, fails] of WAYS) {
    const chaos = new FaultPlan('');
    const leave = { graceful: false };
    const limits = { maxMessageBytes: 65_536 };
    await using cluster = await startCluster({ transport, chaos, leave, ...limits });
    const gate = newGate();
    const error: unknown = await fails(cluster.at(0), chaos, cluster.at(1)).then(
      () => undefined,
      (reason) => reason,
    );
    gate.open();
    expect([code, isGradwireError(error)]).toEqual([code, true]);
    expect(error).toMatchObject({ code, peer: 'worker1', ...expected });
    const { callId, elapsedMs, message } = error as GradwireError;
    expect([code, typeof callId, typeof elapsedMs]).toEqual([code, 'number', 'number']);
    expect(callId).toBeGreaterThan(0);
    expect(message.startsWith(`${code}: `)).toBe(true);
    expect(message.indexOf(`${code}: `, 1)).toBe(-1);
    await until(() => cluster.workers.every(({ endpoint }) => endpoint.runningCount === 0));
  }
});

test('what a peer says cannot write to a terminal, and is bounded (T23)', async () => {
  await using cluster = await startCluster({ transport: 'memory' });
  const error: GradwireError = await cluster
    .at(0)
    .rpcSync(1, hostile)
    .then(
      () => undefined as never,
      (reason) => reason,
    );
  const { message, remoteStack = '', cause } = error;
  const texts = [message, remoteStack, (cause as Error).message, `${(cause as Error).stack}`];
  for (const text of texts) {
    expect(text).toContain('\u{fffd}[31mred\u{fffd}');
    expect(text).not.toMatch(/[^\P{Cc}\n\t]/u);
    expect(text.length).toBeLessThan(17_000);
  }
});
