/** What a worker says of members that are gone. */
import { expect, test } from '@jest/globals';
import { config, firstValueFrom, lastValueFrom, toArray } from 'rxjs';
import { AsyncSlot } from '../../tensor/index.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import { until } from '../support/until.ts';

test.each(TRANSPORTS)(
  'who left, also for those who listen late, and then an end (%s)',
  async (transport) => {
    await using cluster = await startCluster({ transport, workers: 3, leave: { timeoutMs: 500 } });
    const [first, second, third] = [cluster.at(0), cluster.at(1), cluster.at(2)];
    const early = firstValueFrom(first.events());
    await third.shutdown({ graceful: false });
    expect(await early).toEqual({ type: 'left', worker: third.info });
    expect(await firstValueFrom(first.events())).toEqual({ type: 'left', worker: third.info });
    const all = lastValueFrom(first.events().pipe(toArray()));
    await Promise.all([first.shutdown(), second.shutdown()]);
    expect((await all).filter(({ worker }) => worker.name === 'worker2')).toHaveLength(1);
    expect(await lastValueFrom(first.events().pipe(toArray()))).toEqual(await all);
  },
);

test('those who listen run outside of the flow that made it happen', async () => {
  const slot = new AsyncSlot<string>();
  await using cluster = await startCluster({ transport: 'memory', leave: { graceful: false } });
  const seen = slot.run('a flow', () =>
    firstValueFrom(cluster.at(0).events()).then(() => undefined),
  );
  const heard = new Promise((resolve) => {
    cluster
      .at(0)
      .events()
      .subscribe(() => resolve(slot.get()));
  });
  await slot.run('another flow', () => cluster.at(1).shutdown({ graceful: false }));
  await seen;
  expect(await heard).toBeUndefined();
});

test('a listener that throws harms nobody else', async () => {
  await using cluster = await startCluster({
    transport: 'memory',
    workers: 3,
    leave: { graceful: false },
  });
  const thrown: unknown[] = [];
  config.onUnhandledError = (error) => thrown.push(error);
  try {
    cluster
      .at(0)
      .events()
      .subscribe(() => {
        throw new Error('expected');
      });
    const heard = firstValueFrom(cluster.at(0).events());
    await cluster.at(2).shutdown({ graceful: false });
    expect((await heard).worker.name).toBe('worker2');
    await until(() => thrown.length > 0);
  } finally {
    config.onUnhandledError = null;
  }
});
