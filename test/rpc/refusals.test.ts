/** What a user may get wrong in calls and references, and is told so rather than served something else. */
import { expect, test } from '@jest/globals';
import { named, register } from '../../rpc/registry.ts';
import { RRef } from '../../rpc/rref.ts';
import type { CallOptions } from '../../rpc/types.ts';
import { registerValue } from '../../rpc/value-classes.ts';
import { waitAll } from '../../rpc/wait-all.ts';
import { WorkerInfo } from '../../rpc/worker-info.ts';
import { startCluster } from '../support/cluster.ts';
import { add, echo } from '../support/services.ts';

const seen: string[] = [];

class Feed {
  async *items(count: number): AsyncGenerator<number> {
    seen.push('items');
    for (let i = 0; i < count; i++) yield i;
  }

  get(): number {
    seen.push('get');
    return 1;
  }
}
/** Can be sent, and not be read. */
class Unreadable {}

function unreadable(): unknown {
  return new Unreadable();
}
register({ Feed, unreadable });
registerValue(
  { Unreadable },
  {
    encode: () => 1,
    decode: (): Unreadable => {
      throw new Error('cannot be read');
    },
  },
);

test('a proxy, or a cold stream, of a reference that was disposed asks for nothing', async () => {
  await using cluster = await startCluster();
  seen.length = 0;
  const feed = cluster.at(0).remote(1, Feed);
  await feed.getFuture();
  const [sync, future, remote] = [feed.rpcSync(), feed.rpcAsync(), feed.remote()];
  const [stream, streams] = [feed.rpcStream().items(3), feed.rpcStream()];
  feed.dispose();
  await expect(sync.get()).rejects.toThrow(/^rref_disposed/);
  expect(() => future.get()).toThrow(/^rref_disposed/);
  expect(() => remote.get()).toThrow(/^rref_disposed/);
  expect(() => streams.items(3)).toThrow(/^rref_disposed/);
  await expect(stream[Symbol.asyncIterator]().next()).rejects.toThrow(/^rref_disposed/);
  await expect(stream.forEach(() => {})).rejects.toThrow(/^rref_disposed/);
  expect(seen).toEqual([]);
});

test('options of a call that are none, or have another name, are refused', async () => {
  await using cluster = await startCluster();
  const call = (options: unknown): Promise<number> =>
    cluster.at(0).rpcSync(1, add, [1, 2], options as CallOptions);
  await expect(call(5)).rejects.toThrow(/^invalid_argument: the options of add are 5/);
  await expect(call('x')).rejects.toThrow(/^invalid_argument: the options of add are "x"/);
  const near = /^invalid_argument: calls have no option timeout .*Did you mean timeoutMs/;
  await expect(call({ timeout: 5 })).rejects.toThrow(near);
  expect(await call({ timeoutMs: 5_000 })).toBe(3);
});

test('an info that names another rank is refused', async () => {
  await using cluster = await startCluster();
  const call = (rank: number): Promise<number> =>
    cluster.at(0).rpcSync(new WorkerInfo('worker1', rank), add, [1, 2]);
  await expect(call(7)).rejects.toThrow(/^unknown_worker: worker1 has rank 1, not 7/);
  expect(await call(1)).toBe(3);
});

test('names and functions that are none', async () => {
  expect(() => named(5 as unknown as string)).toThrow(/^invalid_argument: 5 is not the name/);
  expect(() => register({ '': add })).toThrow(/^invalid_argument/);
  await expect(waitAll(5 as unknown as () => void)).rejects.toThrow(/^invalid_argument: waitAll/);
});

test('a creation with an aborted signal fails as others do: by its reference', async () => {
  await using cluster = await startCluster();
  using feed = cluster.at(0).remote(1, Feed, [], { signal: AbortSignal.abort() });
  await expect(feed.getFuture()).rejects.toThrow(/^cancelled/);
  await expect(feed.toHere()).rejects.toThrow(/^cancelled/);
});

test('a proxy is no JSON, and a reference is not made by a worker that was shut down', async () => {
  const cluster = await startCluster();
  const worker = cluster.at(0);
  {
    using feed = worker.remote(1, Feed);
    expect(JSON.stringify(feed.rpcSync())).toBe('{}');
    await feed.getFuture();
  }
  await cluster[Symbol.asyncDispose]();
  expect(() => worker.run(() => new RRef(1))).toThrow(/^shut_down/);
});

test('arguments are as they were when the call was made, also of a call that waits (P3)', async () => {
  await using cluster = await startCluster({ maxInFlightCalls: 1 });
  const list = [1, 2];
  const bytes = new Uint8Array(100_000).fill(1);
  const calls = [0, 1, 2].map(() => cluster.at(0).rpcAsync(1, echo, [[list, bytes]]));
  list.push(3);
  bytes.fill(9);
  for (const [numbers, copy] of (await Promise.all(calls)) as [number[], Uint8Array][]) {
    expect(numbers).toEqual([1, 2]);
    expect(copy.every((byte) => byte === 1)).toBe(true);
  }
});

test('an answer that cannot be read says that the call was made, whose answer it is and to what', async () => {
  await using cluster = await startCluster();
  const call = cluster.at(0).rpcSync(1, unreadable);
  await expect(call).rejects.toMatchObject({
    code: 'unsupported_value',
    message: expect.stringContaining('(in the answer of worker1 to unreadable)'),
    peer: 'worker1',
    maybeExecuted: true,
  });
});
