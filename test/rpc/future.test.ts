/** A future is a Promise, and more. Calls set it in test/conformance/t9-futures.test.ts. */
import { expect, test } from '@jest/globals';
import { collectAll, isFuture, RpcFuture } from '../../rpc/future.ts';

test('it is a promise, read by await without a detour', async () => {
  const future = new RpcFuture<number>();
  expect(future).toBeInstanceOf(Promise);
  expect(Promise.resolve(future)).toBe(future);
  expect([isFuture(future), isFuture(Promise.resolve()), isFuture(5), isFuture(null)]).toEqual([
    true,
    false,
    false,
    false,
  ]);
  const order: string[] = [];
  const plain = (async (): Promise<void> => {
    await Promise.resolve();
    order.push('promise');
  })();
  const ours = (async (): Promise<void> => {
    future.setResult(1);
    await future;
    order.push('future');
  })();
  await Promise.all([plain, ours]);
  expect(order).toEqual(['promise', 'future']);
});

test('a promise as its result is waited for', async () => {
  let settle: (value: number) => void = () => {};
  const future = new RpcFuture<number>();
  future.setResult(
    new Promise<number>((resolve) => {
      settle = resolve;
    }),
  );
  expect(future.done()).toBe(false);
  expect(() => future.setResult(2)).toThrow(/only once/);
  settle(7);
  expect(await future).toBe(7);
  expect(future.value()).toBe(7);
  await expect(RpcFuture.from(Promise.reject(new RangeError('x')))).rejects.toThrow(RangeError);
  expect(RpcFuture.from(future)).toBe(future);
});

test('the executor of a future settles it once, and what it throws is the failure', async () => {
  const future = new RpcFuture<number>((resolve, reject) => {
    resolve(1);
    resolve(2);
    reject(new Error('late'));
  });
  expect([future.done(), await future]).toEqual([true, 1]);
  const failed = new RpcFuture<number>(() => {
    throw new RangeError('at once');
  });
  expect(failed.done()).toBe(true);
  await expect(failed).rejects.toThrow(RangeError);
});

test('catch, finally and the combinators of Promise work', async () => {
  const good = RpcFuture.from(Promise.resolve(1));
  const bad = RpcFuture.from<number>(Promise.reject(new RangeError('x')));
  expect(await bad.catch(() => 5)).toBe(5);
  const seen: string[] = [];
  expect(await good.finally(() => seen.push('finally'))).toBe(1);
  expect(seen).toEqual(['finally']);
  const settled = await Promise.allSettled([good, bad]);
  expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
  expect(await Promise.race([good, new RpcFuture<number>()])).toBe(1);
});

test('collectAll keeps the order and types of what it is given', async () => {
  const [a, b, c] = await collectAll([
    new RpcFuture<number>((yes) => yes(1)),
    'x',
    Promise.resolve(true),
  ]);
  const typed: [number, string, boolean] = [a, b, c];
  expect(typed).toEqual([1, 'x', true]);
});
