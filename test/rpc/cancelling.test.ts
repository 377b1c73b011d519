/** Calls that their caller takes back: at once, without a trace where they were not sent, and at any number by one signal. */
import { getEventListeners } from 'node:events';
import { describe, expect, test } from '@jest/globals';
import type { GradwireError } from '../../errors.ts';
import { register } from '../../rpc/registry.ts';
import { RRef } from '../../rpc/rref.ts';
import { tf } from '../../tensor/index.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import { add, echo, greet, held, newGate, visits, wander } from '../support/services.ts';
import { until } from '../support/until.ts';

class Slow {
  #value = 0;
  constructor(value: number) {
    this.#value = value;
  }
  read(): number {
    return this.#value;
  }
}
async function makeSlow(): Promise<Slow> {
  await held('x');
  return new Slow(7);
}
function sizeOf(bytes: Uint8Array): number {
  return bytes.byteLength;
}
register({ Slow, makeSlow, sizeOf });

async function failure(call: Promise<unknown>): Promise<GradwireError> {
  return call.then(
    () => {
      throw new Error('it succeeded');
    },
    (reason) => reason,
  );
}

describe.each(TRANSPORTS)('%s', (transport) => {
  test('a signal that was aborted before sends nothing', async () => {
    await using cluster = await startCluster({ transport });
    const signal = AbortSignal.abort('why');
    const { activity } = cluster.at(1).endpoint;
    const call = cluster.at(0).rpcAsync(1, add, [1, 1], { signal });
    expect(await failure(call)).toMatchObject({
      code: 'cancelled',
      maybeExecuted: false,
      cause: 'why',
    });
    using rref = cluster.at(0).remote(1, add, [1, 1], { signal });
    await expect(rref.toHere()).rejects.toThrow(/^cancelled/);
    await expect(cluster.at(0).rpcSync(1, greet)).resolves.toBe('hello you');
    expect(cluster.at(1).endpoint.activity).toBe(activity + 1);
    expect(() => cluster.at(0).rpcAsync(1, greet, [], { signal: {} as never })).toThrow(
      /^invalid_argument: signal/,
    );
  });

  test('a message that is still queued is taken out, with the references in it', async () => {
    await using cluster = await startCluster({ transport });
    const [a] = cluster.workers;
    if (a === undefined) throw new Error('none');
    const controller = new AbortController();
    const { signal } = controller;
    visits.length = 0;
    using own = a.run(() => new RRef(tf.scalar(1)));
    const calls = [
      a.rpcAsync(1, wander, [[]], { signal }),
      a.rpcAsync(1, echo, [[own]], { signal }),
    ];
    const kept = a.rpcAsync(1, greet, ['b']);
    controller.abort();
    for (const call of calls) {
      expect(await failure(call)).toMatchObject({ code: 'cancelled', maybeExecuted: false });
    }
    expect(await kept).toBe('hello b');
    expect(visits).toEqual([]);
  });

  test('a large message that waits for room is taken out, and its room is not lost', async () => {
    await using cluster = await startCluster({ transport });
    const controller = new AbortController();
    const { signal } = controller;
    // Two of them are more than the receiver has room for.
    const large = new Uint8Array(33 * 1024 * 1024);
    const first = cluster.at(0).rpcAsync(1, sizeOf, [large]);
    const dropped = [0, 1, 2].map(() => cluster.at(0).rpcAsync(1, sizeOf, [large], { signal }));
    controller.abort();
    for (const call of dropped) expect(await failure(call)).toMatchObject({ code: 'cancelled' });
    expect(await first).toBe(large.length);
    expect(await cluster.at(0).rpcAsync(1, sizeOf, [large])).toBe(large.length);
  });

  test('a method that waits for its object does not run when it is cancelled meanwhile', async () => {
    await using cluster = await startCluster({ transport });
    const gate = newGate();
    using slow = cluster.at(0).remote(1, makeSlow);
    await until(() => gate.arrived === 1);
    const controller = new AbortController();
    const call = slow.rpcAsync({ signal: controller.signal }).read();
    call.catch(() => {});
    await until(() => cluster.at(1).endpoint.runningCount === 2);
    controller.abort();
    expect(await failure(call)).toMatchObject({ code: 'cancelled', maybeExecuted: true });
    gate.open();
    expect(await slow.rpcSync().read()).toBe(7);
    await until(() => cluster.at(1).endpoint.runningCount === 0);
  });

  test('one signal serves any number of calls with one listener, and none when they are over', async () => {
    await using cluster = await startCluster({ transport });
    const { signal } = new AbortController();
    const gate = newGate();
    for (let i = 0; i < 3; i++) {
      const calls = Array.from({ length: 50 }, () =>
        cluster.at(0).rpcAsync(1, add, [1, 1], { signal }),
      );
      expect(getEventListeners(signal, 'abort')).toHaveLength(1);
      await Promise.all(calls);
      expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    }
    await expect(cluster.at(0).rpcSync(1, held, ['x'], { signal, timeoutMs: 20 })).rejects.toThrow(
      /^deadline_exceeded/,
    );
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    gate.open();
  });

  test('an abort after the answer, and one that cancels others in its listener, do no harm', async () => {
    await using cluster = await startCluster({ transport });
    newGate();
    const [first, second] = [new AbortController(), new AbortController()];
    expect(await cluster.at(0).rpcSync(1, add, [1, 1], { signal: first.signal })).toBe(2);
    const one = cluster.at(0).rpcAsync(1, held, ['x'], { signal: first.signal });
    const two = cluster.at(0).rpcAsync(1, held, ['x'], { signal: second.signal });
    first.signal.addEventListener('abort', () => second.abort());
    first.abort();
    first.abort();
    expect((await failure(one)).code).toBe('cancelled');
    expect((await failure(two)).code).toBe('cancelled');
    expect(cluster.at(0).endpoint.waitingCount).toBe(0);
  });
});
