import { describe, expect, test } from '@jest/globals';
import { remote } from '../../rpc/api.ts';
import { register } from '../../rpc/registry.ts';
import { isRRef, RRef } from '../../rpc/rref.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import { add, echo, fail, fetchFrom, held, newGate } from '../support/services.ts';

class Counter {
  #count: number;
  label = 'counter';

  constructor(start = 0) {
    this.#count = start;
  }

  add(n = 1): number {
    this.#count += n;
    return this.#count;
  }

  get value(): number {
    return this.#count;
  }

  read(): number {
    return this.#count;
  }

  _hidden(): number {
    return -1;
  }
}

class Loud extends Counter {
  override add(n = 1): number {
    return super.add(10 * n);
  }
}

/** Makes objects on another worker and gives the references away. */
function makeAt(to: string, count: number): RRef<number>[] {
  return Array.from({ length: count }, (_, i) => remote(to, add, [i, 1]));
}

/** Holds what it is given. */
class Keeper {
  held: RRef<number>[] = [];

  keep(...rrefs: RRef<number>[]): void {
    this.held.push(...rrefs);
  }

  async sum(): Promise<number> {
    const values = await Promise.all(this.held.map((rref) => rref.toHere()));
    return values.reduce<number>((a, b) => a + b, 0);
  }

  give(): RRef<number>[] {
    return this.held;
  }

  clear(): void {
    for (const rref of this.held.splice(0)) rref.dispose();
  }
}

/** Goes from worker to worker, each making a reference to the next one's result. */
async function forward(path: string[], value: number): Promise<unknown> {
  const [next, ...rest] = path;
  return next === undefined ? value : remote(next, forward, [rest, value]);
}

async function bump(counter: RRef<Counter>): Promise<string> {
  using mine = counter;
  (await mine.localValue()).add(5);
  return mine.ownerName();
}

register({ Counter, Loud, Keeper, makeAt, forward, bump });

describe.each(TRANSPORTS)('%s', (transport) => {
  test('knows its owner', async () => {
    await using group = await startCluster({ transport });
    const [a, b] = [group.at(0), group.at(1)];
    using rref = a.remote('worker1', Counter);
    expect([rref.owner(), rref.ownerName(), rref.isOwner()]).toEqual([b.info, 'worker1', false]);
    using own = a.run(() => new RRef(1));
    expect([own.owner(), own.isOwner()]).toEqual([a.info, true]);
    expect(`${own}`).toMatch(/^RRef 0\.\d+ of worker0$/);
    await expect(rref.localValue()).rejects.toThrow(/^not_owner: .*toHere/);
    expect(await own.localValue()).toBe(1);
    expect(() => JSON.parse(JSON.stringify(rref)).toHere()).toThrow();
  });

  test('methods run on the owner, in each way of calling', async () => {
    await using group = await startCluster({ transport });
    for (const to of [0, 1]) {
      using counter = group.at(0).remote(to, Counter, [10]);
      expect(await counter.rpcSync().add()).toBe(11);
      const proxy = counter.rpcAsync();
      expect(await Promise.all([proxy.add(1), proxy.add(2), proxy.read()])).toEqual([12, 14, 14]);
      using result = counter.remote().add(6);
      expect(await result.toHere()).toBe(20);
      expect(await proxy.read()).toBe(20);
    }
    using loud = group.at(0).remote(1, Loud, [1]);
    expect(await loud.rpcSync().add(2)).toBe(21);
    expect(await loud.rpcSync().read()).toBe(21);
  });

  test('a proxy is no promise, and what is no remote method is refused', async () => {
    await using group = await startCluster({ transport });
    using counter = group.at(0).remote(1, Counter);
    const proxy = counter.rpcSync() as unknown as Record<string, () => Promise<unknown>>;
    expect(proxy['then']).toBeUndefined();
    expect(proxy[Symbol.iterator as never]).toBeUndefined();
    const names = [
      'value',
      'label',
      '_hidden',
      'constructor',
      'toString',
      'hasOwnProperty',
      'reed',
    ];
    for (const name of names) {
      await expect(proxy[name]?.()).rejects.toMatchObject({
        code: 'unknown_method',
        maybeExecuted: false,
      });
    }
    await expect(proxy['reed']?.()).rejects.toThrow(/Did you mean read/);
  });

  test('remote returns at once, and toHere waits for the object', async () => {
    await using group = await startCluster({ transport });
    const gate = newGate();
    using rref = group.at(0).remote(1, held, ['x']);
    expect(gate.arrived).toBe(0);
    const value = rref.toHere();
    gate.open();
    expect(await value).toBe('x');
    expect(await rref.toHere()).toBe('x');
  });

  test('errors of the creation show at every use', async () => {
    await using group = await startCluster({ transport });
    for (const to of [0, 1]) {
      using rref = group.at(0).remote(to, fail, ['range']);
      const uses = [rref.toHere(), rref.toHere()];
      for (const use of uses) await expect(use).rejects.toThrow(/RangeError: out of bounds/);
      await expect(rref.toHere()).rejects.toThrow(/RangeError/);
      expect(() => rref.rpcAsync()).toThrow(/RangeError/);
      expect(() => group.at(0).rpcAsync(1, echo, [rref])).toThrow(/RangeError/);
      using unseen = group.at(0).remote(to, fail, ['custom']);
      expect(unseen.ownerName()).toBe(`worker${to}`);
    }
  });

  test('references are arguments, results and parts of values, on every worker', async () => {
    await using group = await startCluster({ workers: 3, transport });
    const a = group.at(0);
    for (const owner of [0, 1, 2]) {
      using rref = a.remote(owner, add, [40, 2]);
      for (const to of [0, 1, 2]) {
        expect(await a.rpcSync(to, fetchFrom, [rref])).toBe(42);
        using made = a.remote(to, fetchFrom, [rref]);
        expect(await made.toHere()).toBe(42);
        using back = await a.rpcSync(to, echo<RRef<number>>, [rref]);
        expect(await back.toHere()).toBe(42);
        expect(back.owner()).toEqual(a.getWorkerInfo(owner));
      }
    }
    // The echo's own copies are nobody's.
    await group.collected();
  });

  test('references to objects of a third worker come back, many at once', async () => {
    await using group = await startCluster({ workers: 3, transport });
    const calls = Array.from({ length: 20 }, () => group.at(0).rpcAsync(1, makeAt, ['worker2', 3]));
    for (const rrefs of await Promise.all(calls)) {
      expect(await Promise.all(rrefs.map((rref) => rref.toHere()))).toEqual([1, 2, 3]);
      for (const rref of rrefs) rref.dispose();
    }
    await group.collected();
  });

  test('an object that keeps references uses them and gives them back', async () => {
    await using group = await startCluster({ workers: 3, transport });
    const [a, b] = [group.at(0), group.at(1)];
    using keeper = a.remote(1, Keeper);
    const given = [a.remote(2, add, [1, 2]), a.remote(1, add, [3, 4]), a.run(() => new RRef(5))];
    await keeper.rpcSync().keep(...given);
    for (const rref of given) rref.dispose();
    expect(await keeper.rpcSync().sum()).toBe(15);
    const again = await keeper.rpcSync().give();
    await keeper.rpcSync().clear();
    const values = await Promise.all(again.map((rref) => rref.toHere()));
    expect(values).toEqual([3, 7, 5]);
    expect(again.map((rref) => rref.isOwner())).toEqual([false, false, true]);
    for (const rref of again) rref.dispose();
    expect(b.references.copyCount).toBe(0);
  });

  test('the owner mutates its object through the reference', async () => {
    await using group = await startCluster({ transport });
    using counter = group.at(0).remote(1, Counter, [1]);
    expect(await group.at(0).rpcSync(1, bump, [counter])).toBe('worker1');
    expect(await counter.rpcSync().read()).toBe(6);
  });

  test('a chain of references to references unwraps', async () => {
    await using group = await startCluster({ workers: 3, transport });
    const path = ['worker2', 'worker0', 'worker1', 'worker1', 'worker2'];
    const chain: Disposable[] = [];
    let value: unknown = group.at(0).remote(1, forward, [path, 7]);
    let hops = 0;
    while (isRRef(value)) {
      chain.push(value);
      hops++;
      value = await value.toHere();
    }
    expect([value, hops]).toEqual([7, 6]);
    for (const rref of chain.splice(0)) rref[Symbol.dispose]();
    value = undefined;
    await group.collected();
  });

  test('a call may be made while the reference is let go of', async () => {
    await using group = await startCluster({ transport });
    const big = new Uint8Array(3_000_000);
    for (const to of [0, 1]) {
      const counter = group.at(0).remote(to, Counter, [3]);
      const read = counter.rpcAsync().read();
      using sum = counter.remote().add(1);
      const passed = group.at(0).rpcAsync(to, bump, [counter, big] as never);
      counter.dispose();
      expect([await read, await sum.toHere(), await passed]).toEqual([3, 4, `worker${to}`]);
      await expect(counter.toHere()).rejects.toThrow(/^rref_disposed/);
      await expect(counter.rpcSync().read()).rejects.toThrow(/^rref_disposed/);
      expect(() => counter.rpcAsync()).toThrow(/^rref_disposed/);
      expect(() => counter.remote()).toThrow(/^rref_disposed/);
      expect(() => group.at(0).rpcAsync(1, echo, [counter])).toThrow(/^rref_disposed/);
    }
  });

  test('a reference of another worker of the process is refused', async () => {
    await using group = await startCluster({ transport });
    using rref = group.at(0).run(() => new RRef(1));
    expect(() => group.at(1).rpcAsync(0, echo, [[rref]])).toThrow(
      /^unsupported_value: .*belongs to the worker worker0/,
    );
  });
});
