import { describe, expect, jest, test } from '@jest/globals';
import { Holds } from '../../rpc/holds.ts';
import { init } from '../../rpc/init.ts';
import { addPlugin } from '../../rpc/plugins.ts';
import { register } from '../../rpc/registry.ts';
import { freePort, startCluster, TRANSPORTS } from '../support/cluster.ts';
import { until } from '../support/until.ts';

/** An object whose end fails. */
class Stubborn {
  static ended = 0;
  readonly #how: string;

  constructor(how: string) {
    this.#how = how;
  }

  hi(): string {
    return 'hi';
  }

  [Symbol.dispose](): unknown {
    Stubborn.ended++;
    if (this.#how === 'later') return Promise.reject(new Error('no'));
    throw new Error('no');
  }
}

register({ Stubborn });

const gone: number[] = [];
addPlugin(() => ({
  interceptor: {
    key: 'bad',
    outgoing: () => undefined,
    incoming: () => ({ run: (work) => work() }),
  },
  peerGone: () => {
    throw new Error('peerGone');
  },
  close: () => {
    throw new Error('close');
  },
}));
addPlugin(() => ({
  interceptor: {
    key: 'good',
    outgoing: () => undefined,
    incoming: () => ({ run: (work) => work() }),
  },
  peerGone: (rank) => gone.push(rank),
  close: () => gone.push(-1),
}));

test('everything is freed, whatever fails', () => {
  const holds = new Holds();
  const value = {};
  const fail = jest.fn(() => {
    throw new Error('no');
  });
  const free = jest.fn();
  for (const one of [fail, free, fail, free]) holds.add({ value, free: one });
  for (let i = 0; i < 4; i++) holds.drop({ value, free });
  expect([fail.mock.calls.length, free.mock.calls.length]).toEqual([2, 2]);
  holds.drop({ value: 5, free: fail });
  expect(fail).toHaveBeenCalledTimes(3);
});

describe.each(TRANSPORTS)('%s', (transport) => {
  test('an object whose end fails harms nobody', async () => {
    Stubborn.ended = 0;
    await using cluster = await startCluster({ workers: 3, transport });
    const [a, c] = [cluster.at(0), cluster.at(2)];
    for (const how of ['now', 'later']) {
      const dropped = a.remote(1, Stubborn, [how]);
      expect(await dropped.rpcSync().hi()).toBe('hi');
      dropped.dispose();
    }
    await until(() => Stubborn.ended === 2);
    const left = c.remote(1, Stubborn, ['now']);
    expect(await left.rpcSync().hi()).toBe('hi');
    gone.length = 0;
    await c.shutdown({ graceful: false });
    await until(() => Stubborn.ended === 3);
    await until(() => gone.filter((rank) => rank === 2).length === 2);
    expect(gone).toContain(-1);
  });

  test('a shutdown that frees such an object ends, and leaves its port', async () => {
    Stubborn.ended = 0;
    const common = { name: 'w', rank: 0, worldSize: 1, engine: 'cpu', token: 't' } as const;
    const options = { ...common, transport, masterPort: await freePort() };
    const worker = await init(options);
    const held = worker.remote(0, Stubborn, ['now']);
    expect(await held.rpcSync().hi()).toBe('hi');
    expect(await worker.shutdown()).toMatchObject({ drained: true });
    expect(Stubborn.ended).toBe(1);
    await (await init(options)).shutdown();
  });
});
