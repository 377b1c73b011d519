/** Faults as users meet them: what a call ends with when its messages are lost, doubled, late or refused. */
import { afterEach, expect, test } from '@jest/globals';
import type { GradwireError } from '../../../errors.ts';
import { FaultPlan } from '../../../rpc/faults/fault-plan.ts';
import { register } from '../../../rpc/registry.ts';
import type { RRef } from '../../../rpc/rref.ts';
import { tf } from '../../../tensor/index.ts';
import { type Cluster, startCluster, TRANSPORTS } from '../../support/cluster.ts';
import { add, double } from '../../support/services.ts';
import { until } from '../../support/until.ts';

const ran: number[] = [];

/** Runs once per call, and says so. */
function count(value: number): number {
  ran.push(value);
  return ran.length;
}

class Counter {
  #value = 0;
  add(amount: number): number {
    this.#value += amount;
    return this.#value;
  }
}

/** References that handlers were given: the test lets go of them, so that none waits for garbage to be collected. */
const given: RRef<Counter>[] = [];

/** Gives back the reference that it is given, and the rest. */
function same<T>(counter: RRef<Counter>, rest?: T): [RRef<Counter>, T | undefined] {
  given.push(counter);
  return [counter, rest];
}

function newCounter(): Counter {
  return new Counter();
}

register({ count, Counter, newCounter, same });
afterEach(() => {
  ran.length = 0;
});

function letGo(): void {
  for (const counter of given.splice(0)) counter.dispose();
}

async function failureOf(work: Promise<unknown>): Promise<GradwireError> {
  return (await work.then(
    () => undefined,
    (error) => error,
  )) as GradwireError;
}

/** Two workers with one plan. */
async function start(
  transport: (typeof TRANSPORTS)[number],
  rules: string,
): Promise<{ cluster: Cluster; plan: FaultPlan }> {
  const plan = new FaultPlan(rules, { seed: 1 });
  return { cluster: await startCluster({ transport, chaos: plan }), plan };
}

test.each(TRANSPORTS)('over %s, a request that fails at its sender was never run', async (kind) => {
  const { cluster } = await start(kind, 'worker0/call=fail@1');
  await using _ = cluster;
  const error = await failureOf(cluster.at(0).rpcSync('worker1', count, [1]));
  expect(error).toMatchObject({ code: 'unavailable', peer: 'worker1', maybeExecuted: false });
  expect(error.message).toContain('injected');
  expect(await cluster.at(0).rpcSync('worker1', count, [2])).toBe(1);
});

test.each(TRANSPORTS)('over %s, a request that is lost ends at its limit', async (kind) => {
  const { cluster, plan } = await start(kind, 'worker0/call=drop@1');
  await using _ = cluster;
  const call = cluster.at(0).rpcSync('worker1', count, [1], { timeoutMs: 50 });
  expect(await failureOf(call)).toMatchObject({ code: 'deadline_exceeded', maybeExecuted: true });
  expect(ran).toEqual([]);
  expect(plan.injected).toEqual([
    {
      rule: 'worker0/call=drop@1',
      action: 'drop',
      worker: 'worker0',
      peer: 1,
      kind: 'call',
      direction: 'sent',
      nth: 1,
    },
  ]);
});

test.each(TRANSPORTS)('over %s, when a reply is lost the call was run, once', async (kind) => {
  const { cluster } = await start(kind, 'worker0/call=dropReply@1');
  await using _ = cluster;
  const call = cluster.at(0).rpcSync('worker1', count, [1], { timeoutMs: 1_000 });
  expect(await failureOf(call)).toMatchObject({ code: 'deadline_exceeded', maybeExecuted: true });
  expect(ran).toEqual([1]);
});

test.each(TRANSPORTS)('over %s, calls that come twice run once each', async (kind) => {
  const { cluster, plan } = await start(kind, 'call+method+remote+fetch+reply=duplicate');
  await using _ = cluster;
  const worker = cluster.at(0);
  for (const value of [1, 2, 3]) await worker.rpcSync('worker1', count, [value]);
  expect(ran).toEqual([1, 2, 3]);
  using counter = worker.remote('worker1', newCounter);
  expect(await counter.rpcSync().add(2)).toBe(2);
  expect(await counter.rpcSync().add(2)).toBe(4);
  expect(plan.injected.length).toBeGreaterThan(8);
});

test.each(TRANSPORTS)('over %s, an answer that comes twice frees no reference', async (kind) => {
  const { cluster } = await start(kind, 'reply=duplicate');
  await using _ = cluster;
  const worker = cluster.at(0);
  using counter = worker.remote('worker1', newCounter);
  const [back] = await worker.rpcSync('worker1', same, [counter]);
  using again = back;
  for (let round = 1; round <= 5; round++) expect(await again.rpcSync().add(1)).toBe(round);
  letGo();
});

test.each(TRANSPORTS)('over %s, a large message that comes twice runs once', async (kind) => {
  const { cluster } = await start(kind, 'call=duplicate');
  await using _ = cluster;
  const worker = cluster.at(0);
  const x = tf.ones([512, 1024]);
  const y = await worker.rpcSync('worker1', double, [x]);
  expect(y.shape).toEqual([512, 1024]);
  tf.dispose([x, y]);
});

test.each(TRANSPORTS)('over %s, what is late comes in the order of its object', async (kind) => {
  const { cluster } = await start(kind, 'worker0/method=delay:30ms@1');
  await using _ = cluster;
  using counter = cluster.at(0).remote('worker1', newCounter);
  const sums = [1, 10, 100].map((amount) => counter.rpcAsync().add(amount));
  const free = cluster.at(0).rpcSync('worker1', add, [1, 2]);
  expect(await Promise.race([free, sums[0]])).toBe(3);
  expect(await Promise.all(sums)).toEqual([1, 11, 111]);
});

test.each(TRANSPORTS)('over %s, what is lost on arrival leaves nothing behind', async (kind) => {
  const { cluster, plan } = await start(kind, 'worker1/call.received=drop@1,reply.received=drop@2');
  await using _ = cluster;
  const worker = cluster.at(0);
  using counter = worker.remote('worker1', newCounter);
  await counter.getFuture();
  const options = { timeoutMs: 100 };
  const x = tf.ones([4]);
  for (let round = 0; round < 2; round++) {
    const failure = await failureOf(worker.rpcSync('worker1', same, [counter, x], options));
    expect(failure).toMatchObject({ code: 'deadline_exceeded' });
  }
  expect(plan.injected.length).toBe(2);
  letGo();
  x.dispose();
});

test.each(['drop', 'fail', 'duplicate', 'delay:20ms'])(
  'references are counted although their messages meet %s',
  async (action) => {
    const { cluster, plan } = await start('memory', `references=${action}*3`);
    await using _ = cluster;
    const worker = cluster.at(0);
    {
      using counter = worker.remote('worker1', newCounter);
      const [back] = await worker.rpcSync('worker1', same, [counter]);
      using again = back;
      expect(await again.rpcSync().add(1)).toBe(1);
    }
    letGo();
    await until(() => plan.injected.length >= 3);
    plan.heal();
  },
);

test.each(TRANSPORTS)(
  'over %s, a message with a changed bit is refused or taken, and nothing hangs or is left',
  async (transport) => {
    const allowed = /^(protocol_error|unavailable|unknown_function|remote_error|deadline_exceeded)/;
    for (let seed = 1; seed <= 12; seed++) {
      const chaos = new FaultPlan('call=corrupt', { seed });
      const leave = { graceful: false };
      await using cluster = await startCluster({ transport, chaos, leave });
      const [a, b] = [cluster.at(0), cluster.at(1)];
      const options = { timeoutMs: 500 };
      const outcomes = await Promise.allSettled([
        a.rpcSync('worker1', add, [seed, 2], options),
        b.rpcSync('worker0', add, [seed, 2], options),
      ]);
      expect(chaos.injected.length).toBeGreaterThan(0);
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') expect(outcome.reason.message).toMatch(allowed);
      }
    }
  },
);
