/** T7: what a reference tells of itself, when it is confirmed, how it ends. By the names of PyTorch's tests. */
import { describe, expect, test } from '@jest/globals';
import { isGradwireError } from '../../errors.ts';
import type { MessageKind } from '../../rpc/message.ts';
import { register } from '../../rpc/registry.ts';
import { handleOf, RRef } from '../../rpc/rref.ts';
import type { WorkerNode } from '../../rpc/worker.ts';
import { tf } from '../../tensor/index.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import { add, echo, fail, fetchFrom, held, newGate } from '../support/services.ts';
import { until } from '../support/until.ts';

class Thing {
  value(): number {
    return 1;
  }
}

function ones(): tf.Tensor {
  return tf.ones([2]);
}

async function slowThing(): Promise<Thing> {
  await held('');
  return new Thing();
}

/** Whether the references are confirmed when the handler begins. */
function areConfirmed(...rrefs: RRef<unknown>[]): boolean[] {
  const answer = rrefs.map((rref) => rref.confirmedByOwner());
  for (const rref of rrefs) rref.dispose();
  return answer;
}

let shared: RRef<unknown> | undefined;
function holdShared(rref: RRef<unknown>): void {
  shared = rref;
}
function dropShared(): void {
  shared?.dispose();
}

const order: string[] = [];
class Log {
  async note(text: string, ...rrefs: RRef<unknown>[]): Promise<number> {
    for (const rref of rrefs) rref.dispose();
    return order.push(text);
  }
}
register({ Thing, ones, slowThing, areConfirmed, holdShared, dropShared, 't7.Log': Log });

/** Counts requests and lets a test lose notices. */
function watch(worker: WorkerNode): { asked: MessageKind[]; lose: number } {
  const seen: { asked: MessageKind[]; lose: number } = { asked: [], lose: 0 };
  const { endpoint } = worker;
  const [request, notify] = [endpoint.request.bind(endpoint), endpoint.notify.bind(endpoint)];
  endpoint.request = (asked) => {
    seen.asked.push(asked.kind);
    return request(asked);
  };
  endpoint.notify = (peer, kind, ...rest) => {
    if (kind === 'references' && seen.lose-- > 0) return;
    notify(peer, kind, ...rest);
  };
  return seen;
}

describe.each(TRANSPORTS)('%s', (transport) => {
  test('test_rref_str: owner, rank of the maker and a number that counts up', async () => {
    await using group = await startCluster({ transport });
    using first = group.at(0).remote(1, Thing);
    using second = group.at(0).remote(1, Thing);
    const numbers = [first, second].map(
      (rref) => /^RRef 0\.(\d+) of worker1$/.exec(`${rref}`)?.[1],
    );
    expect(Number(numbers[1]) - Number(numbers[0])).toBe(2);
  });

  test('test_rref_get_future: the creation can be awaited', async () => {
    await using group = await startCluster({ workers: 3, transport });
    const a = group.at(0);
    const gate = newGate();
    using rref = a.remote(1, slowThing);
    let isMade = false;
    const made = rref.getFuture().then(() => {
      isMade = true;
    });
    await until(() => gate.arrived === 1);
    expect(isMade).toBe(false);
    gate.open();
    await made;
    using copy = await a.rpcSync(2, echo<RRef<Thing>>, [rref]);
    using own = a.run(() => new RRef(1));
    await Promise.all([copy.getFuture(), own.getFuture()]);
    using broken = a.remote(1, fail, ['range']);
    await expect(broken.getFuture()).rejects.toThrow(/RangeError/);
    copy.dispose();
    rref.dispose();
    own.dispose();
    broken.dispose();
    await group.collected();
  });

  test('test_rref_type_blocking, test_rref_type_owner_blocking, test_rref_type_owner_non_blocking: one request, on the owner none', async () => {
    await using group = await startCluster({ transport });
    const seen = watch(group.at(0));
    for (const owner of [1, 0]) {
      using tensor = group.at(0).remote(owner, ones);
      using thing = group.at(0).remote(owner, Thing);
      for (let i = 0; i < 11; i++) {
        expect([await tensor.getType(), await thing.getType()]).toEqual(['Tensor', 'Thing']);
      }
      expect(thing.getType()).toBe(thing.getType());
      expect(seen.asked.filter((kind) => kind === 'type')).toHaveLength(2);
    }
  });

  test('test_rref_type_with_error_blocking, test_rref_type_with_error_non_blocking: the error of the creation', async () => {
    await using group = await startCluster({ transport });
    for (const owner of [1, 0]) {
      using rref = group.at(0).remote(owner, fail, ['range']);
      await expect(rref.getType()).rejects.toThrow(/RangeError: out of bounds/);
    }
  });

  test('test_rref_type_slow_init: the query waits for the object', async () => {
    await using group = await startCluster({ transport });
    const gate = newGate();
    using rref = group.at(0).remote(1, slowThing);
    const type = rref.getType();
    await until(() => gate.arrived === 1);
    gate.open();
    expect(await type).toBe('Thing');
  });

  test('test_user_rrefs_confirmed, test_user_rrefs_confirmed_remote: before the handler runs, also when notices are lost', async () => {
    await using group = await startCluster({ workers: 3, transport });
    const a = group.at(0);
    const gate = newGate();
    using slow = a.remote(1, slowThing);
    using mine = a.run(() => new RRef(1));
    using theirs = a.remote(2, Thing);
    expect(slow.confirmedByOwner()).toBe(false);
    expect(mine.confirmedByOwner()).toBe(true);
    const all = [slow, mine, theirs];
    expect(await a.rpcSync(2, areConfirmed, all as never)).toEqual([true, true, true]);
    using made = a.remote(2, areConfirmed, all as never);
    expect(await made.toHere()).toEqual([true, true, true]);
    const seen = watch(group.at(2));
    seen.lose = 1;
    expect(await a.rpcSync(2, areConfirmed, all as never)).toEqual([true, true, true]);
    expect(seen.lose).toBeLessThan(1);
    await until(() => gate.arrived === 1);
    gate.open();
    await slow.getFuture();
    expect(slow.confirmedByOwner()).toBe(true);
  });

  test('requests about an object stay in order behind one that waits for a confirmation', async () => {
    await using group = await startCluster({ workers: 3, transport });
    const a = group.at(0);
    order.length = 0;
    using log = a.remote(1, Log);
    using third = a.remote(2, Thing);
    await third.getFuture();
    const notes = log.rpcAsync();
    await Promise.all([
      notes.note('first', third),
      notes.note('second'),
      notes.note('third', third),
    ]);
    expect(order).toEqual(['first', 'second', 'third']);
  });

  test('test_check_failed_messages: a reference is made, shared, used and let go of while every third notice is lost', async () => {
    await using group = await startCluster({ workers: 3, transport });
    const [a, b, c] = group.workers as [WorkerNode, WorkerNode, WorkerNode];
    for (const worker of [a, b, c]) watch(worker).lose = 1;
    using rref = a.remote(1, add, [1, 2]);
    expect(await a.rpcSync(2, fetchFrom, [rref])).toBe(3);
    rref.dispose();
    await group.unreferenced();
  });

  test('test_rref_context_debug_info: what is shared counts, what is local does not', async () => {
    await using group = await startCluster({ transport });
    const [a, b] = [group.at(0), group.at(1)];
    const owners = (worker: WorkerNode): unknown => worker.references.debugInfo()['numOwnerRrefs'];
    using local = a.run(() => new RRef(1));
    expect(a.references.debugInfo()).toMatchObject({ numOwnerRrefs: 0, numForks: 0 });
    // Shared: one owner, nobody pending; let go of: none.
    await a.rpcSync(1, holdShared, [local]);
    expect(a.references.debugInfo()).toMatchObject({ numOwnerRrefs: 1, numPendingUsers: 0 });
    expect(b.references.debugInfo()).toMatchObject({ numUserRrefs: 1, numPendingUsers: 0 });
    await a.rpcSync(1, dropShared);
    await until(() => owners(a) === 0);
    expect(b.references.debugInfo()).toMatchObject({ numUserRrefs: 0, numPendingUsers: 0 });
    using first = b.remote(0, Thing);
    using second = b.remote(0, Thing);
    await Promise.all([first.getFuture(), second.getFuture()]);
    expect(owners(a)).toBe(2);
    expect(b.references.debugInfo()).toMatchObject({ numUserRrefs: 2, numPendingUsers: 0 });
    first.dispose();
    second.dispose();
    await until(() => owners(a) === 0);
  });

  test('test_use_rref_after_shutdown: fails with "after deletion", as does passing it on', async () => {
    await using group = await startCluster({ transport });
    const [a, b] = [group.at(0), group.at(1)];
    const rref = a.remote(1, Thing);
    await rref.getFuture();
    await Promise.all([a.shutdown(), b.shutdown()]);
    await expect(rref.toHere()).rejects.toThrow(/^shut_down: .*after deletion/);
    expect(() => handleOf(rref)).toThrow(/^shut_down: .*after deletion/);
    expect(() => a.rpcAsync(1, echo, [rref])).toThrow(/^shut_down/);
    rref.dispose();
  });

  test('test_rref_leak, test_ignore_rref_leak, test_non_garbage_collected_user_rref_due_to_local_circular_dependency', async () => {
    await using group = await startCluster({ transport, leave: { graceful: false } });
    const [a, b] = [group.at(0), group.at(1)];
    const kept: { rref: RRef<Thing>; self?: unknown } = { rref: a.remote(1, Thing) };
    kept.self = kept;
    await kept.rref.getFuture();
    const leaving = [a.shutdown({ ignoreRRefLeak: false }), b.shutdown()] as const;
    await expect(leaving[0]).rejects.toThrow(
      /^rref_leaked: nobody let go of RRef 0\.\d+ of worker1/,
    );
    expect(await leaving[1]).toMatchObject({ drained: true });
    expect(isGradwireError(await a.shutdown().catch((error) => error))).toBe(false);
    expect((await a.shutdown()).leaked).toHaveLength(1);
  });

  test('a dead owner is said at once, to handlers that wait for it too', async () => {
    await using group = await startCluster({ workers: 3, transport, leave: { graceful: false } });
    const [a, b, c] = group.workers as [WorkerNode, WorkerNode, WorkerNode];
    const rref = a.remote(1, Thing);
    await rref.getFuture();
    watch(c).lose = 100;
    const waits = a.rpcAsync(2, areConfirmed, [rref]);
    await until(() => c.references.debugInfo()['numPendingUsers'] === 1);
    await b.shutdown({ graceful: false });
    await expect(waits).rejects.toMatchObject({ code: 'owner_died', peer: 'worker1' });
    await expect(rref.toHere()).rejects.toThrow(/^owner_died: worker1, which owned/);
    expect(() => a.rpcAsync(2, echo, [rref])).toThrow(/^owner_died/);
  });
});
