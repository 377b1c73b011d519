/** T6: references are made, are arguments and results, and are shared. By the names of PyTorch's tests. */
import { describe, expect, test } from '@jest/globals';
import { remote, rpcSync } from '../../rpc/api.ts';
import { currentWorker } from '../../rpc/current.ts';
import { register } from '../../rpc/registry.ts';
import { isRRef, RRef } from '../../rpc/rref.ts';
import type { WorkerNode } from '../../rpc/worker.ts';
import { tf } from '../../tensor/index.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import { add, fetchFrom } from '../support/services.ts';

class Sum {
  total = 0;

  add(n: number): number {
    this.total += n;
    return this.total;
  }
}

function addTensors(a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  return tf.add(a, b);
}

function weighted({ a, b, c }: { a: tf.Tensor; b: tf.Tensor; c: tf.Tensor }): tf.Tensor {
  return tf.add(tf.add(a, b), c);
}

async function sumOf(a: RRef<number>, b: RRef<number>): Promise<number> {
  using first = a;
  using second = b;
  return ((await first.toHere()) as number) + ((await second.toHere()) as number);
}

function pairAt(to: string, value: number): RRef<number>[] {
  return [remote(to, add, [value, 1]), remote(to, add, [value, 2])];
}

function hop(path: string[], value: number): unknown {
  const [next, ...rest] = path;
  return next === undefined ? value : remote(next, hop, [rest, value]);
}

const sums: RRef<Sum>[] = [];
function localSums(count: number): RRef<Sum>[] {
  for (const sum of sums.splice(0)) sum.dispose();
  sums.push(...Array.from({ length: count }, () => new RRef(new Sum())));
  return sums;
}

async function bumpLocal(sum: RRef<Sum>, by: number): Promise<number> {
  using mine = sum;
  return (await mine.localValue()).add(by);
}

function letGo(): void {
  for (const sum of sums.splice(0)) sum.dispose();
}

async function readOn(to: string, rref: RRef<number>): Promise<number> {
  using mine = rref;
  expect(currentWorker().info.name).not.toBe(to);
  return await rpcSync(to, fetchFrom, [mine]);
}
register({ Sum, addTensors, weighted, sumOf, pairAt, hop, localSums, bumpLocal, letGo, readOn });

function own(worker: WorkerNode, value: number): RRef<number> {
  return worker.run(() => new RRef(value));
}

describe.each(TRANSPORTS)('%s', (transport) => {
  test('test_self_remote_rref_as_rpc_arg, test_self_remote_rref_as_self_rpc_arg: an own reference is fetched by the callee', async () => {
    await using group = await startCluster({ transport });
    const a = group.at(0);
    for (const to of [1, 0]) {
      for (using rref of [own(a, 7), a.remote(0, add, [3, 4])]) {
        const calls = [a.rpcAsync(to, fetchFrom, [rref]), a.rpcSync(to, fetchFrom, [rref])];
        expect(await Promise.all(calls)).toEqual([7, 7]);
      }
    }
  });

  test('test_self_remote_rref_as_remote_arg, test_self_remote_rref_as_self_remote_arg: the same with remote()', async () => {
    await using group = await startCluster({ transport });
    const a = group.at(0);
    for (const to of [1, 0]) {
      using rref = a.remote(0, add, [3, 4]);
      using result = a.remote(to, fetchFrom, [rref]);
      expect(await result.toHere()).toBe(7);
    }
  });

  test('test_builtin_remote_self: localValue waits for the object', async () => {
    await using group = await startCluster({ transport });
    using rref = group.at(0).remote(0, add, [1, 2]);
    expect(await rref.localValue()).toBe(3);
  });

  test('test_multi_builtin_remote_ret, test_py_udf_remote, test_multi_py_udf_remote: ten creations with tensors at once', async () => {
    await using group = await startCluster({ transport });
    const sizes = Array.from({ length: 10 }, (_, i) => i + 1);
    for (const size of sizes) {
      const [a, b, c] = [tf.ones([size]), tf.ones([size]), tf.ones([size])];
      using plain = group.at(0).remote(1, addTensors, [a, b]);
      using named = group.at(0).remote(1, weighted, [{ a, b, c }]);
      tf.dispose([a, b, c]);
      const results = await Promise.all([plain.toHere(), named.toHere()]);
      expect(results.map((t) => [...t.dataSync()])).toEqual([
        Array(size).fill(2),
        Array(size).fill(3),
      ]);
      tf.dispose(results);
    }
  });

  test('test_py_rref_args, test_remote_same_worker: references are arguments of a creation on their owner', async () => {
    await using group = await startCluster({ transport });
    const a = group.at(0);
    using first = a.remote(1, add, [1, 2]);
    using second = a.remote(1, add, [3, 4]);
    using both = a.remote(1, sumOf, [first, second]);
    expect(await both.toHere()).toBe(10);
  });

  test('test_nested_rref, test_nested_rref_stress, test_rpc_return_rref: references to a third worker in results', async () => {
    await using group = await startCluster({ workers: 3, transport });
    const a = group.at(0);
    const outer = Array.from({ length: 20 }, (_, i) => a.remote(1, pairAt, ['worker2', i]));
    for (const [i, rref] of outer.entries()) {
      const pair = (await rref.toHere()) as RRef<number>[];
      expect(await Promise.all(pair.map((one) => one.toHere()))).toEqual([i + 1, i + 2]);
      for (const one of [...pair, rref]) one.dispose();
    }
    const [returned, other] = (await a.rpcSync(1, pairAt, ['worker2', 5])) as RRef<number>[];
    expect([await returned?.toHere(), await other?.toHere()]).toEqual([6, 7]);
    returned?.dispose();
    other?.dispose();
    await group.collected();
  });

  test('test_rref_forward_chain: through eight workers and back', async () => {
    await using group = await startCluster({ workers: 3, transport });
    const path = Array.from({ length: 8 }, (_, i) => `worker${i % 3}`);
    const chain: Disposable[] = [];
    let value: unknown = group.at(0).remote(1, hop, [path, 42]);
    while (isRRef(value)) {
      chain.push(value);
      value = await value.toHere();
    }
    expect([value, chain.length]).toEqual([42, 9]);
    for (const rref of chain.splice(0)) rref[Symbol.dispose]();
    await group.collected();
  });

  test('test_return_local_rrefs: what a callee owns is changed through its references', async () => {
    await using group = await startCluster({ transport });
    const a = group.at(0);
    const given = (await a.rpcSync(1, localSums, [3])) as RRef<Sum>[];
    for (const rref of given) {
      expect(await a.rpcSync(rref.owner(), bumpLocal, [rref, 5])).toBe(5);
      expect(await a.rpcSync(rref.owner(), bumpLocal, [rref, 5])).toBe(10);
      expect(await rref.rpcSync().add(1)).toBe(11);
      rref.dispose();
    }
    await a.rpcSync(1, letGo);
  });

  test('test_pass_local_rrefs, test_call_method_on_rref: in every way of calling', async () => {
    await using group = await startCluster({ transport });
    const [a, b] = [group.at(0), group.at(1)];
    using local = own(a, 9);
    using other = own(b, 4);
    using made = b.remote(0, fetchFrom, [other]);
    expect(await a.rpcSync(1, fetchFrom, [local])).toBe(9);
    expect(await a.rpcAsync(1, fetchFrom, [local])).toBe(9);
    using remoteResult = a.remote(1, fetchFrom, [local]);
    expect([await remoteResult.toHere(), await made.toHere()]).toEqual([9, 4]);
    using sum = a.remote(1, Sum);
    expect(await a.rpcSync(1, bumpLocal, [sum, 1])).toBe(1);
    expect(await a.rpcAsync(1, bumpLocal, [sum, 1])).toBe(2);
    using third = a.remote(1, bumpLocal, [sum, 1]);
    expect(await third.toHere()).toBe(3);
  });

  test('a reference is passed on while its object is still being made', async () => {
    await using group = await startCluster({ workers: 3, transport });
    using rref = group.at(0).remote(1, add, [20, 22]);
    expect(await group.at(0).rpcSync(2, readOn, ['worker0', rref])).toBe(42);
  });
});
