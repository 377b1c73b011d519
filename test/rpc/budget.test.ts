/** How many calls may be under way: the rest waits in order, too many are refused, and calls that call back never lock up. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { GradwireError } from '../../errors.ts';
import { rpcAsync, rpcSync } from '../../rpc/api.ts';
import { currentWorker } from '../../rpc/current.ts';
import { register } from '../../rpc/registry.ts';
import type { RRef } from '../../rpc/rref.ts';
import type { Worker } from '../../rpc/worker-api.ts';
import { tf } from '../../tensor/index.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import { runs } from '../support/runs.ts';
import { add, echo, greet, held, newGate, relay } from '../support/services.ts';
import { until } from '../support/until.ts';

const order: number[] = [];
function note(i: number): number {
  order.push(i);
  return i;
}

class Log {
  readonly lines: string[] = [];
  write(line: string): void {
    this.lines.push(line);
  }
  async writeHeld(line: string): Promise<void> {
    this.lines.push(line);
    await held('x');
  }
  read(): string[] {
    return this.lines;
  }
}

/** Calls back while its caller has no room, about an object that its caller has calls waiting for. */
async function writeBack(log: RRef<Log>, line: string): Promise<string[]> {
  await rpcSync(0, writeFor, [log, line]);
  log.dispose();
  return [];
}
async function writeFor(log: RRef<Log>, line: string): Promise<void> {
  await log.rpcSync().write(line);
  log.dispose();
}
/** The same hop as `relay`, from `Worker.run`. */
async function relayInRun(path: readonly string[]): Promise<number> {
  const [next, ...rest] = path;
  const worker = currentWorker<Worker>();
  if (next === undefined) return 0;
  return 1 + (await worker.run(() => worker.rpcSync(next, relayInRun, [rest])));
}
async function fan(depth: number): Promise<number> {
  if (depth === 0) return 1;
  const calls = [0, 1].map((to) => rpcAsync(to, fan, [depth - 1]));
  return (await Promise.all(calls)).reduce((a, b) => a + b, 0);
}
function lengthOf(bytes: Uint8Array): number {
  return bytes.byteLength;
}
register({ lengthOf, note, Log, writeBack, writeFor, relayInRun, fan });

describe.each(TRANSPORTS)('%s', (transport) => {
  test('over the budget calls wait in order, over the limit they are refused (P2)', async () => {
    await using cluster = await startCluster({
      transport,
      maxInFlightCalls: 2,
      maxQueuedCalls: 3,
    });
    const [a] = cluster.workers;
    const gate = newGate();
    order.length = 0;
    const first = [a?.rpcAsync(1, held, ['a']), a?.rpcAsync(1, held, ['b'])];
    const queued = [1, 2, 3].map((i) => a?.rpcAsync(1, note, [i]));
    const refused = a?.rpcAsync(1, note, [4]);
    await expect(refused).rejects.toMatchObject({
      code: 'overloaded',
      peer: 'worker1',
      stage: 'queue',
      maybeExecuted: false,
    });
    expect(() => a?.remote(1, echo, [1])).toThrow(/^overloaded: echo was not sent: 2 calls to/);
    // Another peer has a budget of its own.
    expect(await a?.rpcSync(0, add, [1, 2])).toBe(3);
    await until(() => gate.arrived === 2);
    expect(order).toEqual([]);
    gate.open();
    expect(await Promise.all([...first, ...queued])).toEqual(['a', 'b', 1, 2, 3]);
    expect(order).toEqual([1, 2, 3]);
  });

  test('writable resolves when there is room, and rejects when the peer is gone', async () => {
    await using cluster = await startCluster({
      transport,
      maxInFlightCalls: 1,
      leave: { graceful: false },
    });
    const gate = newGate();
    const a = cluster.at(0);
    await a.writable('worker1');
    const call = a.rpcAsync(1, held, ['a']);
    let isWritable = false;
    const writable = a.writable(1).then(() => {
      isWritable = true;
    });
    await until(() => gate.arrived === 1);
    expect(isWritable).toBe(false);
    gate.open();
    await call;
    await writable;
    await expect(a.writable('worker9')).rejects.toThrow(/^unknown_worker/);
    newGate();
    const cut = a.rpcAsync(1, held, ['a']);
    const waits = a.rpcAsync(1, add, [1, 1]);
    const never = a.writable(1);
    for (const promise of [cut, waits, never]) promise.catch(() => {});
    await cluster.at(1).shutdown({ graceful: false });
    await expect(cut).rejects.toMatchObject({ code: 'unavailable', maybeExecuted: true });
    await expect(waits).rejects.toMatchObject({ code: 'unavailable', maybeExecuted: false });
    await expect(never).rejects.toThrow(/^unavailable/);
    await expect(a.writable(1)).rejects.toThrow(/^unavailable/);
  });

  test('writable waits for bytes, too', async () => {
    await using cluster = await startCluster({ transport });
    const a = cluster.at(0);
    const large = new Uint8Array(33 * 1024 * 1024);
    const calls = [0, 1].map(() => a.rpcAsync(1, lengthOf, [large]));
    let isWritable = false;
    const writable = a.writable(1).then(() => {
      isWritable = true;
    });
    await new Promise(setImmediate);
    expect(isWritable).toBe(false);
    await writable;
    expect(await Promise.all(calls)).toEqual([large.length, large.length]);
  });

  test('what waits can be cancelled, or time out, and was certainly not executed (P1)', async () => {
    await using cluster = await startCluster({ transport, maxInFlightCalls: 1 });
    const gate = newGate();
    const a = cluster.at(0);
    const controller = new AbortController();
    order.length = 0;
    const first = a.rpcAsync(1, held, ['a']);
    const x = tf.scalar(1);
    const cancelled = a.rpcAsync(1, echo, [x], { signal: controller.signal });
    x.dispose();
    const late = a.rpcAsync(1, note, [1], { timeoutMs: 20 });
    const last = a.rpcAsync(1, note, [2]);
    controller.abort();
    await expect(cancelled).rejects.toMatchObject({ code: 'cancelled', maybeExecuted: false });
    await expect(late).rejects.toMatchObject({ code: 'deadline_exceeded', maybeExecuted: false });
    await expect(late).rejects.toThrow(/note could not be sent to worker1 within 20 ms/);
    gate.open();
    expect(await Promise.all([first, last])).toEqual(['a', 2]);
    expect(order).toEqual([2]);
  });

  test.each([2, 3])('50 hops with a limit of 1 over %d workers', async (workers) => {
    await using cluster = await startCluster({ transport, workers, maxInFlightCalls: 1 });
    const path = Array.from({ length: 50 }, (_, i) => `worker${(i + 1) % workers}`);
    // From all workers at once, and in a flow that was taken out of its call.
    const calls = cluster.workers.map((worker) => worker.rpcSync(0, relay, [path]));
    for (const names of await Promise.all(calls)) expect(names).toHaveLength(51);
    expect(await cluster.at(0).rpcSync(1, relayInRun, [path])).toBe(50);
  });

  test('calls that spread in both directions do not lock up with a limit of 1 (P6)', async () => {
    await using cluster = await startCluster({ transport, maxInFlightCalls: 1 });
    const calls = cluster.workers.flatMap((worker) =>
      [0, 1].map((to) => worker.rpcAsync(to, fan, [4])),
    );
    expect(await Promise.all(calls)).toEqual([16, 16, 16, 16]);
  });

  test('a nested call takes those along that must arrive before it', async () => {
    await using cluster = await startCluster({ transport, maxInFlightCalls: 1 });
    const gate = newGate();
    const a = cluster.at(0);
    using log = a.remote(1, Log);
    await log.toHere().catch(() => {});
    // Holds the only place until the nested call to the same object has come through.
    const first = a.rpcAsync(1, writeBack, [log, 'nested']);
    const waiting = ['1', '2'].map((line) => log.rpcAsync().write(line));
    const other = a.rpcAsync(1, greet);
    await Promise.all([first, ...waiting, other]);
    expect(await log.rpcSync().read()).toEqual(['1', '2', 'nested']);
    gate.open();
  });

  test('a reference that is let go of stays until the calls before it have run', async () => {
    await using cluster = await startCluster({ transport, maxInFlightCalls: 1 });
    const gate = newGate();
    const a = cluster.at(0);
    const log = a.remote(1, Log);
    const first = log.rpcAsync().writeHeld('first');
    const last = log.rpcAsync().read();
    log.dispose();
    await until(() => gate.arrived === 1);
    gate.open();
    await first;
    expect(await last).toEqual(['first']);
  });
});

test('limits that are none are refused', async () => {
  for (const wrong of [
    { maxInFlightCalls: 0 },
    { maxQueuedCalls: -1 },
    { maxInFlightCalls: 1.5 },
  ]) {
    await expect(startCluster({ transport: 'memory', ...wrong })).rejects.toThrow(
      /^invalid_argument: max/,
    );
  }
});

test('whatever waits and is taken back, the rest runs once and in order', async () => {
  await using cluster = await startCluster({ transport: 'memory', maxInFlightCalls: 2 });
  const kinds = fc.array(fc.constantFrom('call', 'cancel', 'turn' as const), { maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(kinds, async (steps) => {
      order.length = 0;
      const results: Promise<unknown>[] = [];
      const controllers: AbortController[] = [];
      for (const [i, step] of steps.entries()) {
        if (step === 'turn') await new Promise(setImmediate);
        else if (step === 'cancel') controllers[i % Math.max(1, controllers.length)]?.abort();
        else {
          const controller = new AbortController();
          controllers.push(controller);
          const { signal } = controller;
          const call = cluster.at(0).rpcAsync(1, note, [results.length], { signal });
          results.push(call.catch((error: GradwireError) => error.maybeExecuted));
        }
      }
      const outcomes = await Promise.all(results);
      await until(() => cluster.at(1).endpoint.runningCount === 0);
      await cluster.at(0).rpcSync(1, add, [1, 1]);
      expect(order).toEqual(order.toSorted((a, b) => a - b));
      expect(new Set(order).size).toBe(order.length);
      for (const [i, outcome] of outcomes.entries()) {
        if (outcome === false) expect(order).not.toContain(i);
        if (outcome === i) expect(order).toContain(i);
      }
    }),
    runs(50),
  );
}, 600_000);
