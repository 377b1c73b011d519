/** What a handler knows of its call: the caller, what is left of its time, and that nobody waits any more. */
import { afterEach, describe, expect, test } from '@jest/globals';
import { type GradwireError, isGradwireError } from '../../errors.ts';
import { rpcAsync, rpcSync } from '../../rpc/api.ts';
import { currentWorker } from '../../rpc/current.ts';
import { currentCall, type HandledCall } from '../../rpc/current-call.ts';
import { register } from '../../rpc/registry.ts';
import type { Worker } from '../../rpc/worker-api.ts';
import { tf } from '../../tensor/index.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import { add, held, newGate, relay } from '../support/services.ts';
import { until } from '../support/until.ts';

/** The calls that are or were handled, in the order in which they came. */
let seen: HandledCall[] = [];
let outcomes: unknown[] = [];
afterEach(() => {
  seen = [];
  outcomes = [];
});

function thisCall(): HandledCall {
  const call = currentCall();
  if (call === undefined) throw new Error('no call');
  return call;
}

function whoCalls(): [string, number] {
  const { caller, remainingMs } = thisCall();
  return [caller.name, remainingMs];
}

/** Ends when its signal aborts, and gives a tensor that nobody gets. */
async function wait(): Promise<tf.Tensor> {
  const call = thisCall();
  const { signal } = call;
  seen.push(call);
  expect(call.signal).toBe(signal);
  expect(signal.aborted).toBe(false);
  await new Promise((resolve) => signal.addEventListener('abort', resolve));
  outcomes.push(isGradwireError(signal.reason) ? signal.reason.code : signal.reason);
  return tf.tensor1d([1, 2, 3]);
}

/** Reads its signal only when the gate opens. */
async function waitThenLook(): Promise<void> {
  const call = thisCall();
  seen.push(call);
  await held('x');
  outcomes.push(call.signal.reason?.code);
}

/** What a nested call may still take, where this one asked for `timeoutMs`. */
async function nested(timeoutMs: number | undefined): Promise<number> {
  const options = timeoutMs === undefined ? {} : { timeoutMs };
  const [, remainingMs] = await rpcSync(0, whoCalls, [], options);
  return remainingMs;
}

/** The same from `Worker.run`, and after this call was answered. */
async function freed(): Promise<number> {
  const worker = currentWorker<Worker>();
  const [, inRun] = await worker.run(() => worker.rpcSync(0, whoCalls));
  void held('x').then(async () => outcomes.push((await rpcSync(0, whoCalls))[1]));
  return inRun;
}

async function tooLate(): Promise<void> {
  seen.push(thisCall());
  await until(() => thisCall().remainingMs === 0);
  const error: GradwireError = await rpcAsync(0, add, [1, 1]).catch((reason) => reason);
  outcomes.push(error.code, error.maybeExecuted);
  await held('x');
}

register({ whoCalls, wait, waitThenLook, nested, freed, tooLate });

describe.each(TRANSPORTS)('%s', (transport) => {
  test('a handler knows its caller and what is left of its time; elsewhere there is no call', async () => {
    await using cluster = await startCluster({ transport });
    const [name, remainingMs] = await cluster.at(0).rpcSync(1, whoCalls, [], { timeoutMs: 5_000 });
    expect(name).toBe('worker0');
    expect(remainingMs).toBeGreaterThan(0);
    expect(remainingMs).toBeLessThanOrEqual(5_000);
    const unlimited = { timeoutMs: Number.POSITIVE_INFINITY };
    expect(await cluster.at(0).rpcSync(0, whoCalls, [], unlimited)).toEqual([
      'worker0',
      Number.POSITIVE_INFINITY,
    ]);
    expect(currentCall()).toBeUndefined();
    cluster.at(0).run(() => expect(currentCall()).toBeUndefined());
  });

  test('nested calls inherit what is left, and may take less but not more', async () => {
    await using cluster = await startCluster({ transport });
    const options = { timeoutMs: 4_000 };
    for (const own of [undefined, 50_000, Number.POSITIVE_INFINITY]) {
      const remainingMs = await cluster.at(0).rpcSync(1, nested, [own], options);
      expect(remainingMs).toBeGreaterThan(0);
      expect(remainingMs).toBeLessThanOrEqual(4_000);
    }
    const least = await cluster.at(0).rpcSync(1, nested, [3_000], options);
    expect(least).toBeLessThanOrEqual(3_000);
  });

  test('Worker.run and what goes on after the answer inherit nothing', async () => {
    await using cluster = await startCluster({ transport });
    const gate = newGate();
    expect(await cluster.at(0).rpcSync(1, freed, [], { timeoutMs: 4_000 })).toBeGreaterThan(5_000);
    gate.open();
    await until(() => outcomes.length === 1);
    expect(outcomes[0]).toBeGreaterThan(5_000);
  });

  test('a nested call of a call that has no time left is not sent', async () => {
    await using cluster = await startCluster({ transport });
    const gate = newGate();
    const call = cluster.at(0).rpcSync(1, tooLate, [], { timeoutMs: 30 });
    await expect(call).rejects.toThrow(/^deadline_exceeded: worker1 did not answer tooLate/);
    await until(() => outcomes.length === 2);
    expect(outcomes).toEqual(['deadline_exceeded', false]);
    gate.open();
    await until(() => cluster.at(1).endpoint.runningCount === 0);
  });

  test('the signal aborts when the deadline passes, and a result that nobody waits for is freed', async () => {
    await using cluster = await startCluster({ transport });
    const call = cluster.at(0).rpcSync(1, wait, [], { timeoutMs: 30 });
    await expect(call).rejects.toThrow(/^deadline_exceeded/);
    await until(() => cluster.at(1).endpoint.runningCount === 0);
    expect(['deadline_exceeded', 'cancelled']).toContain(outcomes[0]);
  });

  test('the signal aborts when the caller cancels, also if it is read only later (P5)', async () => {
    await using cluster = await startCluster({ transport });
    const gate = newGate();
    const controller = new AbortController();
    const options = { signal: controller.signal };
    const calls = [
      cluster.at(0).rpcSync(1, wait, [], options),
      cluster.at(0).rpcSync(1, waitThenLook, [], options),
    ];
    await until(() => seen.length === 2);
    controller.abort(new Error('not needed'));
    for (const call of calls) {
      const error: GradwireError = await call.then(
        () => undefined,
        (reason) => reason,
      );
      expect(error).toMatchObject({ code: 'cancelled', maybeExecuted: true, peer: 'worker1' });
      expect((error.cause as Error).message).toBe('not needed');
    }
    await until(() => outcomes.length === 1);
    gate.open();
    await until(() => outcomes.length === 2);
    expect(outcomes).toEqual(['cancelled', 'cancelled']);
    expect(cluster.at(1).endpoint.runningCount).toBe(0);
  });

  test('the signal aborts when the caller is gone', async () => {
    await using cluster = await startCluster({ transport, leave: { graceful: false } });
    const call = cluster.at(0).rpcAsync(1, wait);
    call.catch(() => {});
    await until(() => seen.length === 1);
    await cluster.at(0).shutdown({ graceful: false });
    await expect(call).rejects.toThrow(/^shut_down/);
    await until(() => outcomes.length === 1);
    expect(outcomes).toEqual(['unavailable']);
    await until(() => cluster.at(1).endpoint.runningCount === 0);
  });

  test('the signal of a call that is over never aborts', async () => {
    await using cluster = await startCluster({ transport });
    const gate = newGate();
    const call = cluster.at(0).rpcAsync(1, waitThenLook, [], { timeoutMs: 50 });
    await until(() => seen.length === 1);
    const signal = seen[0]?.signal;
    gate.open();
    await call;
    await expect(cluster.at(0).rpcSync(1, wait, [], { timeoutMs: 60 })).rejects.toThrow();
    await until(() => cluster.at(1).endpoint.runningCount === 0);
    expect(signal?.aborted).toBe(false);
  });

  test('a relay passes its time on', async () => {
    await using cluster = await startCluster({ transport });
    const path = Array.from({ length: 10 }, (_, i) => `worker${i % 2}`);
    expect(await cluster.at(0).rpcSync(1, relay, [path], { timeoutMs: 5_000 })).toHaveLength(11);
  });
});
