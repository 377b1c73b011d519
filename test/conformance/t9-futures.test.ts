/** What PyTorch RPC checks of itself, theme T9: futures, callbacks, combinators. */
import { describe, expect, test } from '@jest/globals';
import { rpcAsync } from '../../rpc/api.ts';
import { asyncExecution } from '../../rpc/async-execution.ts';
import { collectAll, RpcFuture } from '../../rpc/future.ts';
import { register } from '../../rpc/registry.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import { add, echo, fail, held, newGate } from '../support/services.ts';
import { until } from '../support/until.ts';

/** Completes a future of its own from the callback of a nested call. */
async function addByFuture(to: string, x: number): Promise<number> {
  const future = new RpcFuture<number>();
  rpcAsync(to, add, [x, 1]).onComplete((call) => future.setResult(call.value() + 10));
  return await future;
}

async function addTwiceByFuture(to: string, x: number): Promise<number> {
  const future = new RpcFuture<number>();
  rpcAsync(to, add, [x, 1]).onComplete((first) => {
    rpcAsync(to, add, [first.value(), 1]).onComplete((second) => future.setResult(second.value()));
  });
  return await future;
}

function unmarked(to: string): RpcFuture<number> {
  return rpcAsync(to, add, [1, 1]);
}

function unmarkedFailing(to: string): RpcFuture<never> {
  return rpcAsync(to, fail, ['range']);
}

const marked = asyncExecution((to: string) => rpcAsync(to, add, [1, 1]));
register({ addByFuture, addTwiceByFuture, unmarked, unmarkedFailing, markedInT9: marked });

describe.each(TRANSPORTS)('%s', (transport) => {
  test('test_future_wait_twice: a failed future throws the same error each time', async () => {
    await using cluster = await startCluster({ transport });
    const calls = Array.from({ length: 20 }, () => cluster.at(0).rpcAsync(1, fail, ['range']));
    await expect(collectAll(calls)).rejects.toMatchObject({ code: 'remote_error' });
    for (const call of calls) {
      const [first, second] = await Promise.all([
        call.catch((e) => e),
        call.wait().catch((e) => e),
      ]);
      expect(first).toBe(second);
      expect(first).toMatchObject({ remoteName: 'RangeError' });
    }
  });

  test('test_future_done, test_future_done_exception: done after success and after failure', async () => {
    await using cluster = await startCluster({ transport });
    const good = cluster.at(0).rpcAsync(1, add, [1, 2]);
    expect(good.done()).toBe(false);
    expect(() => good.value()).toThrow(/^invalid_state: the future is not done/);
    expect(await good.wait()).toBe(3);
    expect([good.done(), good.value()]).toEqual([true, 3]);
    const bad = cluster.at(0).rpcAsync(1, fail, ['range']);
    await expect(bad).rejects.toThrow(/^remote_error/);
    expect(bad.done()).toBe(true);
    expect(() => bad.value()).toThrow(/^remote_error: RangeError: out of bounds/);
  });

  test('test_callback_simple: a callback sees the value, the future stays as it is', async () => {
    await using cluster = await startCluster({ transport });
    const future = cluster.at(0).rpcAsync(1, add, [1, 2]);
    const next = future.then((value) => value + 10);
    expect(await future).toBe(3);
    expect(await next).toBe(13);
    expect([next.done(), next.value(), await future]).toEqual([true, 13, 3]);
  });

  test('test_callback_wrong_arg_type: a callback that takes the value for the future fails its own', async () => {
    await using cluster = await startCluster({ transport });
    const future = cluster.at(0).rpcAsync(1, add, [1, 2]);
    const next = future.then((value) => (value as unknown as typeof future).value());
    await expect(next).rejects.toThrow(TypeError);
    expect(await future).toBe(3);
  });

  test('test_callback_multi: each callback has its own future', async () => {
    await using cluster = await startCluster({ transport });
    const future = cluster.at(0).rpcAsync(1, add, [1, 2]);
    const each = Array.from({ length: 10 }, (_, i) => future.then((value) => value + i));
    expect(await collectAll(each)).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    expect(new Set(each).size).toBe(10);
  });

  test('test_callback_chain: twenty callbacks add up', async () => {
    await using cluster = await startCluster({ transport });
    let future = cluster.at(0).rpcAsync(1, add, [1, 2]);
    for (let i = 0; i < 20; i++) future = future.then((value) => value + 1);
    expect(await future).toBe(23);
  });

  test('test_callback_with_ret: a callback may call, and the chain has what that gives', async () => {
    await using cluster = await startCluster({ transport });
    const worker = cluster.at(0);
    const future = worker
      .rpcAsync(1, add, [1, 2])
      .then((value) => worker.rpcAsync(1, add, [value, 5]))
      .then((value) => 2 * value);
    expect(await future).toBe(16);
    expect(future.value()).toBe(16);
  });

  test('test_callback_with_error: a callback sees the error, and its own takes the place of it', async () => {
    await using cluster = await startCluster({ transport });
    const future = cluster.at(0).rpcAsync(1, fail, ['range']);
    const seen: unknown[] = [];
    const next = future.then(undefined, (error) => {
      seen.push(error);
      throw new TypeError('another one');
    });
    await expect(next).rejects.toThrow(new TypeError('another one'));
    await expect(future).rejects.toBe(seen[0]);
    expect(() => next.value()).toThrow(TypeError);
  });

  test('test_add_done_callback: it runs once the future is done and changes nothing', async () => {
    await using cluster = await startCluster({ transport });
    const future = cluster.at(0).rpcAsync(1, add, [1, 2]);
    const seen: boolean[] = [];
    future.onComplete((done) => seen.push(done === future && done.done()));
    expect(await future).toBe(3);
    expect(seen).toEqual([true]);
    const failed = cluster.at(0).rpcAsync(1, fail, ['range']);
    failed.onComplete(() => seen.push(failed.done()));
    await until(() => seen.length === 2);
    expect(seen[1]).toBe(true);
    future.onComplete(() => seen.push(true));
    await until(() => seen.length === 3);
  });

  test('test_future_in_rpc, test_future_nested_callback: a remote function may use futures of its own', async () => {
    await using cluster = await startCluster({ workers: 3, transport });
    expect(await cluster.at(0).rpcSync(1, addByFuture, ['worker2', 1])).toBe(12);
    expect(await cluster.at(0).rpcSync(1, addTwiceByFuture, ['worker2', 1])).toBe(3);
  });

  test('test_pickle_future: a future is no argument, in any mode', async () => {
    await using cluster = await startCluster({ transport });
    const worker = cluster.at(0);
    const args: [RpcFuture<number>] = [new RpcFuture()];
    const fault = /^unsupported_value: arguments\[0\] is a promise; await it/;
    await expect(worker.rpcSync(1, echo, args)).rejects.toThrow(fault);
    expect(() => worker.rpcAsync(1, echo, args)).toThrow(fault);
    expect(() => worker.remote(1, echo, args)).toThrow(fault);
  });

  test('test_return_future, test_return_future_async: nor a result, but of a marked function', async () => {
    await using cluster = await startCluster({ workers: 3, transport });
    const worker = cluster.at(0);
    for (const fn of [unmarked, unmarkedFailing]) {
      const fault = /^unsupported_value: unmarked.* returned a future; .*rpc.asyncExecution/;
      await expect(worker.rpcSync(1, fn, ['worker2'])).rejects.toThrow(fault);
      await expect(worker.rpcAsync(1, fn, ['worker2'])).rejects.toThrow(fault);
      using rref = worker.remote(1, fn, ['worker2']);
      await expect(rref.toHere()).rejects.toThrow(fault);
    }
    expect(await worker.rpcSync(1, marked, ['worker2'])).toBe(2);
  });

  test('test_wait_all_with_exception, test_wait_all_with_partial_exception: one failure fails all', async () => {
    await using cluster = await startCluster({ transport });
    const worker = cluster.at(0);
    const bad = Array.from({ length: 10 }, () => worker.rpcAsync(1, fail, ['range']));
    await expect(collectAll(bad)).rejects.toThrow(/^remote_error: RangeError/);
    const good = Array.from({ length: 10 }, (_, i) => worker.rpcAsync(1, add, [i, i]));
    const mixed = collectAll([...good, worker.rpcAsync(1, fail, ['custom'])]);
    await expect(mixed).rejects.toThrow(/^remote_error: Failure/);
    expect(await collectAll(good)).toEqual(good.map((_, i) => 2 * i));
    expect(await collectAll([])).toEqual([]);
  });

  test('test_wait_all_exit_early_python, test_wait_all_exit_early_builtin: at once, whoever still waits', async () => {
    await using cluster = await startCluster({ transport });
    const gate = newGate();
    const blocked = cluster.at(0).rpcAsync(1, held, ['late']);
    const all = collectAll([blocked, cluster.at(0).rpcAsync(1, fail, ['range'])]);
    await expect(all).rejects.toThrow(/^remote_error/);
    expect([all.done(), blocked.done()]).toEqual([true, false]);
    gate.open();
    expect(await blocked).toBe('late');
  });
});

test('test_mark_future_twice: a future is set once, by whoever made it', async () => {
  const future = new RpcFuture<number>();
  future.setResult(1);
  const twice = /^invalid_state: a future can be set only once/;
  expect(() => future.setResult(2)).toThrow(twice);
  expect(() => future.setException(new Error('x'))).toThrow(twice);
  expect([await future, future.value()]).toEqual([1, 1]);
  const ofCall = future.then((value) => value);
  expect(() => ofCall.setResult(3)).toThrow(/^invalid_state: the future is set by the call/);
  const failed = new RpcFuture<number>();
  const error = new RangeError('once');
  failed.setException(error);
  expect(() => failed.value()).toThrow(error);
  await expect(failed).rejects.toBe(error);
  const wrong = new RpcFuture<number>();
  expect(() => wrong.setException('text' as never)).toThrow(/^invalid_argument: .* takes an error/);
});

test('test_callback_none: a missing callback is refused at once', () => {
  const future = new RpcFuture<number>();
  expect(() => future.onComplete(undefined as never)).toThrow(/^invalid_argument: onComplete/);
});
