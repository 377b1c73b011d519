import { describe, expect, test } from '@jest/globals';
import type { GradwireError } from '../../errors.ts';
import { named, register } from '../../rpc/registry.ts';
import { Handle, handleOf, referenceTo } from '../../rpc/rref.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import {
  add,
  echo,
  Failure,
  fail,
  failAt,
  failLater,
  missAt,
  newGate,
  unsendable,
} from '../support/services.ts';
import { until } from '../support/until.ts';

function repeat(text: string, count: number): string {
  return text.repeat(count);
}

class Probe {
  constructor(isBroken: boolean) {
    if (isBroken) throw new Error('broken');
  }

  run(): never {
    throw new Error('run');
  }
}
register({ repeat, Probe });

async function errorOf(call: Promise<unknown>): Promise<GradwireError> {
  return call.then(
    () => {
      throw new Error('no error');
    },
    (error) => error,
  );
}

describe.each(TRANSPORTS)('%s', (transport) => {
  test('what a function throws arrives with class, message and stack', async () => {
    await using cluster = await startCluster({ transport });
    newGate().open();
    for (const fn of [fail, failLater]) {
      const error = await errorOf(cluster.at(0).rpcSync(1, fn, ['range']));
      expect(error.message).toBe(
        `remote_error: RangeError: out of bounds (thrown by ${fn.name} on worker1)`,
      );
      expect(error).toMatchObject({
        code: 'remote_error',
        peer: 'worker1',
        stage: 'execute',
        remoteName: 'RangeError',
        maybeExecuted: true,
      });
      expect(error.remoteStack).toMatch(/fail/);
      expect(error.cause).toBeInstanceOf(RangeError);
      expect((error.cause as Error).message).toBe('out of bounds');
    }
    const custom = await errorOf(cluster.at(0).rpcSync(1, fail, ['custom']));
    expect(custom.remoteName).toBe('Failure');
    expect(custom.cause).not.toBeInstanceOf(Failure);
    expect(custom.cause).toMatchObject({ name: 'Failure', message: 'of its own class' });
  });

  test('whatever is thrown, the caller hears of it', async () => {
    await using cluster = await startCluster({ transport });
    newGate().open();
    for (const fn of [fail, failLater]) {
      const text = await errorOf(cluster.at(0).rpcSync(1, fn, ['text']));
      expect(text.message).toMatch(/not an error was thrown: only a text/);
      for (const kind of ['bare', 'trap']) {
        const error = await errorOf(cluster.at(0).rpcSync(1, fn, [kind]));
        expect(error).toMatchObject({ code: 'remote_error', peer: 'worker1' });
      }
      const long = await errorOf(cluster.at(0).rpcSync(1, fn, ['x'.repeat(100_000)]));
      expect(long.message.length).toBeLessThan(20_000);
    }
  });

  test('over two hops the error names where it was thrown', async () => {
    await using cluster = await startCluster({ workers: 3, transport });
    const error = await errorOf(cluster.at(0).rpcSync(1, failAt, ['worker2', 'range']));
    expect(error).toMatchObject({
      code: 'remote_error',
      peer: 'worker2',
      remoteName: 'RangeError',
    });
    expect(error.message).toBe(
      'remote_error: RangeError: out of bounds (thrown by fail on worker2)',
    );
    expect(error.cause).toBeInstanceOf(RangeError);
    const missed = await errorOf(cluster.at(0).rpcSync(1, missAt, ['worker2']));
    // The first hop did run.
    expect(missed).toMatchObject({ code: 'not_registered', maybeExecuted: true });
  });

  test('what the callee does not have is named, with what is near', async () => {
    await using cluster = await startCluster({ transport });
    const error = await errorOf(cluster.at(0).rpcSync(1, named<typeof add>('ad'), [1, 2]));
    expect(error).toMatchObject({
      code: 'unknown_function',
      peer: 'worker1',
      maybeExecuted: false,
    });
    expect(error.message).toMatch(/no function or class ad is registered. Did you mean add/);
    using rref = cluster.at(0).remote(1, named<typeof add>('ad'), [1, 2]);
    await expect(rref.toHere()).rejects.toThrow(/^unknown_function/);
  });

  test('whether code may have run is told exactly', async () => {
    await using cluster = await startCluster({ transport });
    const [a, b] = [cluster.at(0), cluster.at(1)];
    const probe = a.remote(1, Probe, [false]);
    expect(await errorOf(probe.rpcSync().run())).toMatchObject({ maybeExecuted: true });
    const { id } = handleOf(probe);
    probe.dispose();
    await until(() => b.references.ownedCount === 0);
    const freed = referenceTo<Probe>(
      new Handle(a.referenceCalls, b.info, id, a.references.newForkId()),
    );
    const unknown = { code: 'unknown_rref', maybeExecuted: false };
    expect(await errorOf(freed.rpcSync().run())).toMatchObject(unknown);
    expect(await errorOf(freed.toHere())).toMatchObject(unknown);
    using broken = a.remote(1, Probe, [true]);
    expect(await errorOf(broken.toHere())).toMatchObject({ maybeExecuted: true });
    const called = await errorOf(a.rpcSync(1, Probe as never));
    expect(called).toMatchObject({ code: 'unsupported_value', maybeExecuted: false });
  });

  test('what cannot be sent is refused before it is sent, with its path', async () => {
    await using cluster = await startCluster({ transport });
    const worker = cluster.at(0);
    expect(() => worker.rpcAsync(1, () => 1)).toThrow(/^not_registered: an anonymous function/);
    expect(() => worker.rpcAsync(1, 'add' as never)).toThrow(/^invalid_argument: .*rpc.named/);
    expect(() => worker.rpcAsync(1, echo, [{ a: [() => 1] } as never])).toThrow(
      /^unsupported_value: arguments\[0\]\.a\[0\] is the function/,
    );
    expect(() => worker.rpcAsync(1, echo, [Promise.resolve(1)])).toThrow(/is a promise; await it/);
    await expect(worker.rpcSync(1, echo, [Symbol('s')])).rejects.toMatchObject({
      code: 'unsupported_value',
      maybeExecuted: false,
    });
    expect(worker.endpoint.waitingCount).toBe(0);
  });

  test('a result that cannot be sent is an error that says where', async () => {
    await using cluster = await startCluster({ transport, maxMessageBytes: 100_000 });
    const error = await errorOf(cluster.at(0).rpcSync(1, unsendable));
    expect(error).toMatchObject({
      code: 'unsupported_value',
      maybeExecuted: true,
      peer: 'worker1',
    });
    expect(error.message).toMatch(/the result\.deep\[1\]\.fn is the function/);
  });

  test('a message over the limit is refused at either end, and hurts no other call', async () => {
    await using cluster = await startCluster({ transport, maxMessageBytes: 100_000 });
    const [a, b] = [cluster.at(0), cluster.at(1)];
    await expect(a.rpcSync(1, echo, ['x'.repeat(200_000)])).rejects.toMatchObject({
      code: 'message_too_large',
      maybeExecuted: false,
    });
    // The ids of the calls are the same in both directions.
    const others = Array.from({ length: 5 }, () => b.rpcAsync(0, add, [1, 1]));
    const error = await errorOf(a.rpcSync(1, repeat, ['x', 200_000]));
    expect(error).toMatchObject({ code: 'message_too_large', maybeExecuted: true });
    expect(await Promise.all(others)).toEqual([2, 2, 2, 2, 2]);
  });
});
