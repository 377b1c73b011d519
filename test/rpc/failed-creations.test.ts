/** Uses of a reference whose creation fails, wherever it has come to: each hears at once that there will be no object. */
import { describe, expect, test } from '@jest/globals';
import { isGradwireError } from '../../errors.ts';
import { register } from '../../rpc/registry.ts';
import type { RRef } from '../../rpc/rref.ts';
import { registerValue } from '../../rpc/value-classes.ts';
import { type Cluster, startCluster, TRANSPORTS } from '../support/cluster.ts';
import { held, newGate } from '../support/services.ts';
import { until } from '../support/until.ts';

/** Can be sent, and not be read. */
class Unreadable {
  readonly isUnreadable = true;
}

class Box {
  readonly what: unknown;

  constructor(what: unknown) {
    this.what = what;
  }

  get(): number {
    return 1;
  }

  id(): this {
    return this;
  }
}

/** Uses what it was given, as long as that takes. */
async function useIt(given: RRef<Box>): Promise<number> {
  using box = given;
  return await box.rpcSync().get();
}

register({ Box, useIt });
registerValue(
  { Unreadable },
  {
    encode: () => 1,
    decode: (): Unreadable => {
      throw new Error('cannot be read');
    },
  },
);

/** What it fails with. Nothing here has a limit of time that could end a wait. */
async function failureOf(use: PromiseLike<unknown>): Promise<unknown> {
  try {
    return await use;
  } catch (error) {
    return isGradwireError(error) ? `${error.code} ${error.maybeExecuted}` : error;
  }
}

const USES: Readonly<Record<string, (box: RRef<Box>, cluster: Cluster) => PromiseLike<unknown>>> = {
  toHere: (box) => box.toHere(),
  method: (box) => box.rpcSync().get(),
  type: (box) => box.getType(),
  future: (box) => box.getFuture(),
  'result of a method': async (box) => {
    using result = box.remote().id();
    await result.toHere();
  },
  'method on a third worker': (box, cluster) => cluster.at(0).rpcSync(2, useIt, [box]),
};

describe.each(TRANSPORTS)('%s', (transport) => {
  test.each(Object.entries(USES))('an argument that the owner cannot read: %s', async (_, use) => {
    await using cluster = await startCluster({ transport, workers: 3, timeoutMs: 600_000 });
    using box = cluster.at(0).remote(1, Box, [new Unreadable()]);
    // What ran on the third worker, before it heard of the failure, may have been executed.
    expect(await failureOf(use(box, cluster))).toMatch(/^unsupported_value (true|false)$/);
    await expect(box.toHere()).rejects.toThrow(/^unsupported_value/);
  });

  test('the owner of an argument dies while the creation waits for it', async () => {
    const leave = { graceful: false };
    await using cluster = await startCluster({ transport, workers: 3, timeoutMs: 600_000, leave });
    const argument = cluster.at(0).remote(2, Box, [1]);
    await argument.getFuture();
    const box = cluster.at(0).remote(1, Box, [argument]);
    const uses = [box.toHere(), box.rpcSync().get(), box.getFuture()].map(failureOf);
    await cluster.at(2).shutdown(leave);
    for (const failure of await Promise.all(uses)) expect(failure).toBe('owner_died false');
  });

  test('a creation that waits for its turn is cancelled, or its time is over', async () => {
    const limits = { maxInFlightCalls: 1, timeoutMs: 600_000 };
    await using cluster = await startCluster({ transport, workers: 3, ...limits });
    const gate = newGate();
    const busy = cluster.at(0).rpcAsync(1, held, ['']);
    const controller = new AbortController();
    using cancelled = cluster.at(0).remote(1, Box, [1], { signal: controller.signal });
    using late = cluster.at(0).remote(1, Box, [1], { timeoutMs: 20 });
    const uses = [cancelled.toHere(), cancelled.rpcSync().get()].map(failureOf);
    const lateUses = [late.toHere(), late.getType()].map(failureOf);
    const shared = failureOf(cluster.at(0).rpcSync(2, useIt, [cancelled]));
    await until(() => cluster.at(2).endpoint.runningCount === 1);
    controller.abort();
    expect(await Promise.all(uses)).toEqual(['cancelled false', 'cancelled false']);
    expect(await Promise.all(lateUses)).toEqual(Array(2).fill('deadline_exceeded false'));
    expect(await shared).toBe('unknown_rref true');
    gate.open();
    await busy;
    expect(cluster.at(1).references.ownedCount).toBe(2);
  });
});
