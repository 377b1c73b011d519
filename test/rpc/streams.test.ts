/** Functions that stream to their caller: items, ends, failures, who holds whom back, and who frees what. */
import { describe, expect, test } from '@jest/globals';
import { firstValueFrom, lastValueFrom, take, toArray } from 'rxjs';
import { rpcStream } from '../../rpc/api.ts';
import { currentWorker } from '../../rpc/current.ts';
import { register } from '../../rpc/registry.ts';
import type { RemoteStream } from '../../rpc/remote-stream.ts';
import { RRef } from '../../rpc/rref.ts';
import { TensorScope, tf } from '../../tensor/index.ts';
import { type Cluster, startCluster, TRANSPORTS } from '../support/cluster.ts';
import { add, greet, newGate, unsendable } from '../support/services.ts';
import {
  count,
  flood,
  freshStreams,
  laterStream,
  references,
  Source,
  stuck,
  tensors,
  ticks,
  unsendableItem,
} from '../support/streams.ts';
import { until } from '../support/until.ts';

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

/** Passes on what the next worker streams. */
function pass(to: string, items: number): RemoteStream<number> {
  return rpcStream(to, count, [items], { windowItems: 1 });
}
register({ pass });

async function idle(cluster: Cluster): Promise<void> {
  await until(() =>
    cluster.workers.every(({ endpoint }) => endpoint.waitingCount + endpoint.runningCount === 0),
  );
}

describe.each(TRANSPORTS)('%s', (transport) => {
  test('items, and the end, by subscription and by iteration; each is a call of its own', async () => {
    await using cluster = await startCluster({ transport });
    const seen = freshStreams();
    const stream = cluster.at(0).rpcStream(1, count, [100]);
    expect(seen.pulled).toBe(0);
    const expected = Array.from({ length: 100 }, (_, i) => i);
    expect(await lastValueFrom(stream.pipe(toArray()))).toEqual(expected);
    expect(await collect(stream)).toEqual(expected);
    expect(await Promise.all([collect(stream), collect(stream)])).toEqual([expected, expected]);
    expect(seen.pulled).toBe(400);
    expect(await collect(cluster.at(0).rpcStream(1, count, [0]))).toEqual([]);
    newGate().open();
    expect(await collect(cluster.at(0).rpcStream(1, laterStream))).toEqual([0, 1, 2]);
    expect(await collect(cluster.at(0).rpcStream(0, count, [2]))).toEqual([0, 1]);
  });

  test('what the function throws comes after the items before it', async () => {
    await using cluster = await startCluster({ transport });
    const seen: number[] = [];
    const stream = cluster.at(0).rpcStream(1, count, [10, 3]);
    const failure = await lastValueFrom(stream).catch((error) => error);
    expect(failure).toMatchObject({
      code: 'remote_error',
      remoteName: 'RangeError',
      peer: 'worker1',
    });
    await expect(async () => {
      for await (const item of stream) seen.push(item);
    }).rejects.toThrow(/^remote_error: RangeError: at 3/);
    expect(seen).toEqual([0, 1, 2]);
  });

  test('an iteration holds the function back (P7)', async () => {
    await using cluster = await startCluster({ transport });
    const seen = freshStreams();
    const items = cluster
      .at(0)
      .rpcStream(1, count, [1000], { windowItems: 4 })
      [Symbol.asyncIterator]();
    expect(await items.next()).toEqual({ done: false, value: 0 });
    await cluster.at(0).rpcSync(1, greet);
    await cluster.at(0).rpcSync(1, greet);
    expect(seen.pulled).toBeLessThanOrEqual(5);
    for (let i = 1; i < 20; i++) expect((await items.next()).value).toBe(i);
    await cluster.at(0).rpcSync(1, greet);
    expect(seen.pulled).toBeLessThanOrEqual(24);
    await items.return?.();
    await until(() => seen.ended.length > 0);
    expect(seen.ended).toEqual(['returned']);
    expect(await items.next()).toEqual({ done: true, value: undefined });
  });

  test('leaving ends the function: generators return, Observables are unsubscribed', async () => {
    await using cluster = await startCluster({ transport });
    const seen = freshStreams();
    for await (const item of cluster.at(0).rpcStream(1, count, [1e9])) if (item === 40) break;
    await until(() => seen.ended.length === 1);
    const some = cluster.at(0).rpcStream(1, count, [1e9]).pipe(take(3), toArray());
    expect(await lastValueFrom(some)).toEqual([0, 1, 2]);
    await until(() => seen.ended.length === 2);
    expect(await firstValueFrom(cluster.at(0).rpcStream(1, stuck))).toBe(1);
    await until(() => seen.ended.length === 3);
    expect(seen.ended).toEqual(['returned', 'returned', 'returned']);
    const scope = new TensorScope();
    const subscription = scope.run(() => cluster.at(0).rpcStream(1, ticks).subscribe());
    await until(() => scope.size > 3);
    subscription.unsubscribe();
    await until(() => seen.ended.length === 4);
    await idle(cluster);
    scope.dispose();
  });

  test('tensors of items belong to the scope of the subscription, or of the one who asks', async () => {
    await using cluster = await startCluster({ transport });
    const a = cluster.at(0);
    const before = tf.memory().numTensors;
    const scope = new TensorScope();
    const got = await scope.run(() => lastValueFrom(a.rpcStream(1, tensors, [50]).pipe(toArray())));
    expect(got.map(({ size }) => size)).toEqual(Array.from({ length: 50 }, (_, i) => i + 1));
    expect(scope.size).toBe(50);
    scope.dispose();
    await idle(cluster);
    expect(tf.memory().numTensors).toBe(before);
    const items = a.rpcStream(1, tensors, [50])[Symbol.asyncIterator]();
    const [first, second] = [new TensorScope(), new TensorScope()];
    await first.run(() => items.next());
    await second.run(async () => [await items.next(), await items.next()]);
    expect([first.size, second.size]).toEqual([1, 2]);
    first.dispose();
    second.dispose();
    await items.return?.();
    // Those that waited unread, and those of the function itself, are gone.
    await idle(cluster);
    expect(tf.memory().numTensors).toBe(before);
    // Without a scope they are the subscriber's.
    for await (const x of a.rpcStream(1, tensors, [5])) x.dispose();
  });

  test('methods stream, and what their object keeps stays', async () => {
    await using cluster = await startCluster({ transport });
    using source = cluster.at(0).remote(1, Source, [10]);
    expect(await collect(source.rpcStream().values(3))).toEqual([10, 11, 12]);
    for await (const x of source.rpcStream().kept()) x.dispose();
    expect(await source.rpcSync().lastValue()).toBe(2);
    for await (const x of source.rpcStream({ windowItems: 1 }).kept()) {
      x.dispose();
      expect(await source.rpcSync().lastValue()).toBeGreaterThanOrEqual(0);
    }
  });

  test('an Observable that is far ahead of its subscriber fails, one that is not is waited for', async () => {
    await using cluster = await startCluster({ transport });
    const scope = new TensorScope();
    await scope.run(async () => {
      expect(await collect(cluster.at(0).rpcStream(1, flood, [900]))).toHaveLength(900);
      const many = cluster.at(0).rpcStream(1, flood, [5_000]);
      await expect(lastValueFrom(many)).rejects.toThrow(
        /^overloaded: the stream is 1000 items ahead/,
      );
    });
    scope.dispose();
    await idle(cluster);
  });

  test('streams pass through a worker that holds the first one back in turn', async () => {
    await using cluster = await startCluster({ transport, workers: 3 });
    const seen = freshStreams();
    const items = cluster.at(0).rpcStream(1, pass, ['worker2', 100], { windowItems: 1 });
    const read: number[] = [];
    for await (const item of items) {
      read.push(item);
      expect(seen.pulled).toBeLessThanOrEqual(item + 4);
      if (item === 10) break;
    }
    expect(read).toHaveLength(11);
    await until(() => seen.ended.length === 1);
    await idle(cluster);
  });

  test('references in items nobody reads are let go of', async () => {
    await using cluster = await startCluster({ transport });
    const a = cluster.at(0);
    for await (const rref of a.rpcStream(1, references, [], { windowItems: 4 })) {
      const value = await rref.toHere();
      rref.dispose();
      if (value === 5) break;
    }
    await idle(cluster);
    expect(a.references.copyCount).toBe(0);
    await cluster.collected();
  });

  test('deadline, signal and death of the caller end a stream', async () => {
    await using cluster = await startCluster({ transport, leave: { graceful: false } });
    const seen = freshStreams();
    const limited = cluster.at(0).rpcStream(1, stuck, [], { timeoutMs: 300 });
    await expect(lastValueFrom(limited)).rejects.toThrow(/^deadline_exceeded: worker1 did not/);
    await until(() => seen.ended.length === 1);
    const controller = new AbortController();
    const cut = collect(cluster.at(0).rpcStream(1, stuck, [], { signal: controller.signal }));
    cut.catch(() => {});
    await until(() => cluster.at(1).endpoint.runningCount === 1);
    controller.abort();
    await expect(cut).rejects.toThrow(/^cancelled/);
    await until(() => seen.ended.length === 2);
    const lost = collect(cluster.at(0).rpcStream(1, stuck));
    lost.catch(() => {});
    await until(() => cluster.at(1).endpoint.runningCount === 1);
    await cluster.at(0).shutdown({ graceful: false });
    await expect(lost).rejects.toThrow(/^shut_down/);
    await until(() => seen.ended.length === 3);
    await until(() => cluster.at(1).endpoint.runningCount === 0);
  });

  test('what streams, and what does not, is said clearly', async () => {
    await using cluster = await startCluster({ transport });
    const a = cluster.at(0);
    const seen = freshStreams();
    await expect(a.rpcSync(1, count as never, [1] as never)).rejects.toThrow(
      /^unsupported_value: the result is a stream: call the function by rpcStream/,
    );
    await expect(a.rpcSync(1, ticks as never)).rejects.toThrow(/by rpcStream/);
    const wrong = a.rpcStream(1, add as never, [1, 1] as never);
    await expect(lastValueFrom(wrong)).rejects.toThrow(
      /^unsupported_value: the function streams nothing/,
    );
    await expect(collect(a.rpcStream(1, unsendableItem))).rejects.toThrow(
      /^unsupported_value: the item.deep\[0\]/,
    );
    expect(seen.ended).toEqual(['returned']);
    await expect(collect(a.rpcStream(1, unsendable as never))).rejects.toThrow(/streams nothing/);
    expect(() => a.rpcStream(1, count, [1], { windowItems: 0 })).toThrow(
      /^invalid_argument: window/,
    );
    const refused = a.rpcStream(1, count, [(() => 1) as never]);
    await expect(lastValueFrom(refused)).rejects.toThrow(/^unsupported_value: arguments\[0\]/);
    await expect(collect(refused)).rejects.toThrow(/^unsupported_value/);
  });

  test('a subscriber runs where it subscribed', async () => {
    await using cluster = await startCluster({ transport });
    const a = cluster.at(0);
    const names = a.run(
      () =>
        new Promise((resolve) => {
          rpcStream(1, count, [1]).subscribe(() => resolve(currentWorker().info.name));
        }),
    );
    expect(await names).toBe('worker0');
    using rref = a.run(() => new RRef(new Source(1)));
    expect(await collect(rref.rpcStream().values(2))).toEqual([1, 2]);
  });
});
