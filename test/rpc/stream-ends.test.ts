/** Sources of streams that do not end as they should: the worker that streams lives on, and the caller hears what matters. */
import { expect, test } from '@jest/globals';
import { Observable } from 'rxjs';
import { register } from '../../rpc/registry.ts';
import { startCluster } from '../support/cluster.ts';
import { add } from '../support/services.ts';
import { until } from '../support/until.ts';

const ENDS: Readonly<Record<string, unknown>> = {
  plain: () => ({ done: true, value: undefined }),
  throws: () => {
    throw new Error('from return()');
  },
  rejects: async () => {
    throw new Error('from return()');
  },
  number: 5,
};

/** Numbers without end, by a source whose `return` is `ENDS[how]`. */
function numbers(how: string): AsyncIterable<number> {
  let i = 0;
  const next = async (): Promise<IteratorResult<number>> => ({ value: i++, done: false });
  const iterator = { next, return: ENDS[how] } as AsyncIterator<number>;
  return { [Symbol.asyncIterator]: () => iterator };
}

function untidy(): Observable<number> {
  return new Observable<number>((subscriber) => {
    for (let i = 0; i < 10; i++) subscriber.next(i);
    return () => {
      throw new Error('from the teardown');
    };
  });
}
register({ numbers, untidy });

test('whatever `return()` of an async iterable does, its worker lives on', async () => {
  await using cluster = await startCluster();
  const [caller, callee] = cluster.workers;
  for (const how of Object.keys(ENDS)) {
    const got: number[] = [];
    for await (const item of cluster.at(0).rpcStream(1, numbers, [how])) {
      got.push(item);
      if (item === 3) break;
    }
    expect(got).toEqual([0, 1, 2, 3]);
  }
  await until(() => callee?.endpoint.runningCount === 0);
  expect(await caller?.rpcSync(1, add, [1, 2])).toBe(3);
});

test('an Observable whose teardown throws does not end its worker', async () => {
  await using cluster = await startCluster();
  for await (const item of cluster.at(0).rpcStream(1, untidy)) if (item === 3) break;
  await until(() => cluster.at(1).endpoint.runningCount === 0);
  expect(await cluster.at(0).rpcSync(1, add, [1, 2])).toBe(3);
});
