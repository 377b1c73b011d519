/** Groups that workers join and leave while others work. */
import { describe, expect, test } from '@jest/globals';
import { firstValueFrom, lastValueFrom, toArray } from 'rxjs';
import { TRANSPORTS } from '../support/cluster.ts';
import { DynamicCluster, seenBy } from '../support/dynamic.ts';
import { add, held, newGate, whoAmI } from '../support/services.ts';
import { until } from '../support/until.ts';

const CLEAN = { drained: true, cancelled: 0, dead: [], leaked: [] };

describe.each(TRANSPORTS)('%s', (transport) => {
  test('rank 0 is ready at once, and works alone', async () => {
    await using group = await DynamicCluster.make({ transport });
    const first = await group.join(0);
    expect(seenBy(first)).toEqual(['worker0']);
    expect(await first.rpcSync(0, add, [1, 2])).toBe(3);
    await first.barrier();
    expect(await first.shutdown()).toEqual(CLEAN);
  });

  test('who has joined calls all and is called by all at once', async () => {
    await using group = await DynamicCluster.make({ transport });
    const workers = [await group.join(0)];
    for (const rank of [7, 2, 4]) {
      const joined = await group.join(rank);
      for (const other of workers) {
        expect(await other.rpcSync(rank, whoAmI)).toEqual([`worker${rank}`, other.info.id]);
        expect(await joined.rpcSync(other.info, whoAmI)).toEqual([other.info.name, rank]);
      }
      workers.push(joined);
    }
    for (const worker of workers) {
      expect(seenBy(worker)).toEqual(['worker0', 'worker2', 'worker4', 'worker7']);
    }
  });

  test('twenty that join at once all see the same', async () => {
    await using group = await DynamicCluster.make({ transport });
    const workers = await group.grow(21);
    const names = workers.map(({ info }) => info.name);
    await until(() => workers.every((worker) => seenBy(worker).length === 21));
    for (const worker of workers) expect(seenBy(worker)).toEqual(names);
    const calls = workers.flatMap((from) =>
      workers.map((to) => from.rpcSync(to.info, add, [1, 1])),
    );
    expect(new Set(await Promise.all(calls))).toEqual(new Set([2]));
  });

  test('leaves at any time, and loses no call that is under way', async () => {
    await using group = await DynamicCluster.make({ transport });
    await group.grow(3);
    const [a, b, c] = [group.at(0), group.at(1), group.at(2)];
    const gate = newGate();
    const calls = [a, b].map((from) => from.rpcAsync(2, held, ['done']));
    await until(() => gate.arrived === 2);
    let isOver = false;
    const leaving = c.shutdown().finally(() => {
      isOver = true;
    });
    await until(() => seenBy(a).length === 2 && seenBy(b).length === 2);
    expect(() => a.rpcAsync(2, add, [1, 1])).toThrow(/^unavailable: worker2 has left the group/);
    // Its own calls go on.
    expect([isOver, await c.rpcSync(0, add, [1, 1])]).toEqual([false, 2]);
    gate.open();
    expect(await Promise.all(calls)).toEqual(['done', 'done']);
    expect(await leaving).toEqual(CLEAN);
    expect(await b.rpcSync(0, add, [1, 1])).toBe(2);
    expect(await b.shutdown()).toEqual(CLEAN);
    expect(await a.shutdown()).toEqual(CLEAN);
  });

  test('rank 0 cannot leave before the others, and says so', async () => {
    await using group = await DynamicCluster.make({ transport });
    await group.grow(2);
    const [first, second] = [group.at(0), group.at(1)];
    await expect(first.shutdown()).rejects.toMatchObject({
      code: 'group_in_use',
      stage: 'shutdown',
      message: expect.stringMatching(/rank 0 cannot leave before the others: worker1\. /),
    });
    await expect(first.shutdown({ timeoutMs: 20 })).rejects.toThrow(/^group_in_use/);
    // Nothing has happened: the group works, and grows.
    const third = await group.join(2);
    expect(await third.rpcSync(0, add, [1, 2])).toBe(3);
    const waiting = first.shutdown({ timeoutMs: 5_000 });
    expect(await second.rpcSync(0, add, [1, 2])).toBe(3);
    expect(await Promise.all([second.shutdown(), third.shutdown()])).toEqual([CLEAN, CLEAN]);
    expect(await waiting).toEqual(CLEAN);
  });

  test('rank 0 may leave without grace: the others keep each other, and nobody joins', async () => {
    await using group = await DynamicCluster.make({ transport });
    await group.grow(3);
    const [first, second, third] = [group.at(0), group.at(1), group.at(2)];
    const event = firstValueFrom(third.events());
    const waiting = first.shutdown({ timeoutMs: 5_000 });
    expect(await first.shutdown({ graceful: false })).toMatchObject({ drained: false });
    expect(await waiting).toMatchObject({ drained: false });
    expect(await event).toEqual({ type: 'left', worker: first.info });
    expect(await second.rpcSync(2, add, [1, 2])).toBe(3);
    expect(seenBy(second)).toEqual(['worker1', 'worker2']);
    await expect(group.join(3, { initTimeoutMs: 200 })).rejects.toThrow(/^init_timeout/);
    expect(await Promise.all([second.shutdown(), third.shutdown()])).toEqual([CLEAN, CLEAN]);
  });

  test('events: who joined, left and died, and how things stand for those who listen late', async () => {
    await using group = await DynamicCluster.make({ transport });
    const first = await group.join(0);
    const all = lastValueFrom(first.events().pipe(toArray()));
    const second = await group.join(1);
    const third = await group.join(2);
    await third.shutdown();
    await until(() => seenBy(second).length === 2);
    const again = await group.join(2);
    await again.shutdown({ graceful: false });
    await until(() => seenBy(first).length === 2 && seenBy(second).length === 2);
    const late = lastValueFrom(second.events().pipe(toArray()));
    await second.shutdown();
    await until(() => seenBy(first).length === 1);
    await first.shutdown();
    const short = (event: { type: string; worker: { name: string } }): string =>
      `${event.worker.name} ${event.type}`;
    expect((await all).map(short)).toEqual([
      'worker1 joined',
      'worker2 joined',
      'worker2 left',
      'worker2 joined',
      'worker2 left',
      'worker1 left',
    ]);
    expect((await late).map(short)).toEqual(['worker2 left']);
  });
});
