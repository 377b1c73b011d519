/** Sparse tensors in plain calls and references, as SparseSlices. The names are those of the peer's own tests. */
import { describe, expect, test } from '@jest/globals';
import { remote, rpcSync } from '../../rpc/api.ts';
import { register } from '../../rpc/registry.ts';
import type { RRef } from '../../rpc/rref.ts';
import { SparseSlices, tf } from '../../tensor/index.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';

type Ref = RRef<SparseSlices>;

/** Rows 1 and 3 of four, worth `n`; row 1 twice unless it is coalesced. */
function build(n: number, isCoalesced = false): SparseSlices {
  const rows = isCoalesced ? [1, 3] : [1, 3, 1];
  const values = rows.map((row) => (row === 1 && !isCoalesced ? [n / 2, n / 2] : [n, n]));
  return new SparseSlices(tf.tensor1d(rows, 'int32'), tf.tensor2d(values), [4, 2]);
}

function addSparse(a: SparseSlices, b: SparseSlices): SparseSlices {
  return a.add(b);
}

function sumAll(list: readonly SparseSlices[]): SparseSlices {
  return list.reduce((sum, next) => sum.add(next));
}

function addThree({ a, b, c }: Record<'a' | 'b' | 'c', SparseSlices>): SparseSlices {
  return sumAll([a, b, c]);
}

async function heavy(sparse: SparseSlices): Promise<SparseSlices> {
  let sum = sparse;
  for (let i = 0; i < 10; i++) sum = await sum.add(sparse).coalesce();
  return sum;
}

/** Has its tensors added where the references' objects live. */
async function addRefs(first: Ref, second: Ref): Promise<SparseSlices> {
  using a = first;
  using b = second;
  return ((await a.toHere()) as SparseSlices).add((await b.toHere()) as SparseSlices);
}

async function nested(to: string, a: SparseSlices, b: SparseSlices): Promise<SparseSlices> {
  return (await rpcSync(to, addSparse, [a, b])) as SparseSlices;
}

/** Both references are to objects on `to`, made by the callee. */
function makePair(to: string, n: number): [Ref, Ref] {
  const [a, b] = [build(n), build(n)];
  return [remote(to, addSparse, [a, b]), remote(to, addSparse, [b, a])];
}

async function nestedRemote(to: string, n: number): Promise<SparseSlices> {
  using rref = remote(to, addSparse, [build(n), build(n)]);
  return (await rref.toHere()) as SparseSlices;
}

register({ addSparse, sumAll, addThree, heavy, addRefs, nested, makePair, nestedRemote, build });

/** Checks that rows 1 and 3 are worth `n`, and frees it. */
function expectRows(sparse: SparseSlices, n: number): void {
  expect(sparse).toBeInstanceOf(SparseSlices);
  const dense = sparse.toDense();
  const row = [n, n];
  expect(dense.arraySync()).toEqual([[0, 0], row, [0, 0], row]);
  dense.dispose();
  sparse.dispose();
}

describe.each(TRANSPORTS)('%s', (transport) => {
  test('test_send_to_rank_sparse: sync, async and remote, coalesced or not', async () => {
    await using cluster = await startCluster({ workers: 3, transport });
    for (const isCoalesced of [false, true]) {
      for (const to of [0, 1, 2]) {
        const worker = cluster.at((to + 1) % 3);
        using a = build(to + 1, isCoalesced);
        using b = build(2, isCoalesced);
        expectRows(await worker.rpcSync(to, addSparse, [a, b]), to + 3);
        expectRows(await worker.rpcAsync(to, addSparse, [a, b]), to + 3);
        using rref = worker.remote(to, addSparse, [a, b]);
        expectRows(await rref.toHere(), to + 3);
      }
    }
  });

  test('test_multi_rpc_sparse, test_py_sparse_tensors_in_container, test_nested_rpc_sparse', async () => {
    await using cluster = await startCluster({ transport });
    const worker = cluster.at(0);
    for (let i = 1; i <= 20; i++) {
      using a = build(i);
      expectRows(await worker.rpcSync(1, addSparse, [a, a]), 2 * i);
    }
    using a = build(1);
    using b = build(2, true);
    expectRows(await worker.rpcSync(1, sumAll, [[a, b, a]]), 4);
    expectRows(await worker.rpcSync(1, nested, ['worker0', a, b]), 3);
  });

  test('test_stress_heavy_rpc_sparse: twenty heavy calls at once', async () => {
    await using cluster = await startCluster({ transport });
    using a = build(1);
    const calls = Array.from({ length: 20 }, () => cluster.at(0).rpcAsync(1, heavy, [a]));
    for (const sparse of await Promise.all(calls)) expectRows(sparse, 11);
  });

  test('test_builtin_remote_ret_sparse, test_multi_builtin_remote_ret_sparse: fetched from a peer', async () => {
    await using cluster = await startCluster({ transport });
    using a = build(1);
    const rrefs = Array.from({ length: 10 }, () => cluster.at(0).remote(1, addSparse, [a, a]));
    for (const rref of rrefs) {
      expectRows(await rref.toHere(), 2);
      rref.dispose();
    }
  });

  test('test_builtin_remote_self_sparse, test_world_size_one_sparse: the value of one’s own reference', async () => {
    await using cluster = await startCluster({ workers: 1, transport });
    const worker = cluster.at(0);
    using a = build(1);
    using rref = worker.remote(0, addSparse, [a, a]);
    const dense = (await rref.localValue()).toDense();
    expect(dense.arraySync()).toEqual([
      [0, 0],
      [2, 2],
      [0, 0],
      [2, 2],
    ]);
    dense.dispose();
    expectRows(await rref.toHere(), 2);
    expectRows(await worker.rpcSync(0, addSparse, [a, a]), 2);
    expectRows(await worker.rpcAsync('worker0', addSparse, [a, a]), 2);
  });

  test('test_self_py_udf_remote_sparse, test_multi_py_udf_remote_sparse: three by name', async () => {
    await using cluster = await startCluster({ transport });
    const worker = cluster.at(0);
    for (const to of [0, 1]) {
      const sent = [1, 2, 3].map((n) => build(n)) as [SparseSlices, SparseSlices, SparseSlices];
      const [a, b, c] = sent;
      const rrefs = Array.from({ length: 10 }, () => worker.remote(to, addThree, [{ a, b, c }]));
      for (const sparse of sent) sparse.dispose();
      for (const rref of rrefs) {
        expectRows(await rref.toHere(), 6);
        rref.dispose();
      }
    }
  });

  test.each([
    ['test_self_remote_rref_as_rpc_arg_sparse, test_self_remote_rref_as_remote_arg_sparse', 1],
    [
      'test_self_remote_rref_as_self_rpc_arg_sparse, test_self_remote_rref_as_self_remote_arg_sparse',
      0,
    ],
  ])('%s: references of this worker as arguments', async (_, to) => {
    await using cluster = await startCluster({ transport });
    const worker = cluster.at(0);
    using a = worker.remote(0, build, [1]);
    using b = worker.remote(0, build, [2]);
    expectRows(await worker.rpcSync(to, addRefs, [a, b]), 3);
    expectRows(await worker.rpcAsync(to, addRefs, [a, b]), 3);
    using sum = worker.remote(to, addRefs, [a, b]);
    expectRows(await sum.toHere(), 3);
  });

  test('test_py_rref_args_sparse, test_py_rpc_rref_args_sparse, test_py_rref_args_user_share_sparse', async () => {
    await using cluster = await startCluster({ workers: 3, transport });
    const worker = cluster.at(0);
    using a = worker.remote(1, build, [1]);
    using b = worker.remote(1, build, [4]);
    // To their owner, and to another user.
    for (const to of [1, 2]) {
      using sum = worker.remote(to, addRefs, [a, b]);
      expectRows(await sum.toHere(), 5);
      expectRows(await worker.rpcSync(to, addRefs, [a, b]), 5);
    }
  });

  test('test_nested_remote_sparse, test_nested_rref_sparse, test_nested_rref_stress_sparse', async () => {
    await using cluster = await startCluster({ workers: 3, transport });
    const worker = cluster.at(0);
    expectRows(await worker.rpcSync(1, nestedRemote, ['worker2', 3]), 6);
    const calls = Array.from({ length: 20 }, (_, i) =>
      worker.rpcAsync(1, makePair, ['worker2', i]),
    );
    for (const [i, pair] of (await Promise.all(calls)).entries()) {
      for (const rref of pair) {
        expectRows((await rref.toHere()) as SparseSlices, 2 * i);
        rref.dispose();
      }
    }
    // The worker in the middle holds references that it gave away.
    await cluster.collected();
  });

  test('test_wait_all_workers_sparse, test_wait_all_workers_twice_sparse: calls until all have met', async () => {
    await using cluster = await startCluster({ workers: 3, transport });
    const work = cluster.workers.map(async (worker) => {
      const to = (worker.info.id + 1) % 3;
      for (let round = 1; round <= 2; round++) {
        using a = build(round);
        expectRows(await worker.rpcSync(to, addSparse, [a, a]), 2 * round);
        await worker.waitAllWorkers();
      }
    });
    await Promise.all(work);
  });
});
