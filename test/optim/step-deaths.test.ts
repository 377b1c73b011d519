/** An owner dies at any moment of a step in two phases: the owners that are left have all made it, or none has. */
import { expect, test } from '@jest/globals';
import { autograd, optim, tf } from '../../index.ts';
import type { Transport } from '../../rpc/transport.ts';
import { MemoryTransport } from '../../rpc/transport-memory.ts';
import { at, keptAt, startTeam } from '../autograd/support.ts';
import { MortalTransport } from '../support/mortal.ts';
import { until } from '../support/until.ts';

const MORTAL = 3;
type Outcome = 'none' | 'all that are left' | 'all';

/** One step over w1, w2 and w3, of which w3 dies after `steps` things that it does with its connections. */
async function stepWhile(steps: number): Promise<Outcome> {
  const base = new MemoryTransport();
  const mortal = new MortalTransport(base, Number.POSITIVE_INFINITY);
  const transport: Transport = {
    name: 'one of them is mortal',
    start: (options) => (options.rank === MORTAL ? mortal : base).start(options),
  };
  const team = await startTeam(4, 'memory', { transport, timeoutMs: 5_000 });
  const tensors = tf.memory().numTensors;
  const parameters: tf.Variable[] = [1, 2, 3].map(() => tf.tidy(() => tf.variable(tf.scalar(1))));
  const failed = await team.as(0, async () => {
    const rrefs = parameters.map((parameter, i) => keptAt(i + 1, () => parameter));
    using optimizer = new optim.DistributedOptimizer(optim.SGD, rrefs, { lr: 1, momentum: 0.5 });
    for (const rref of rrefs) rref.dispose();
    await optimizer.ready();
    return await autograd.context(async (id) => {
      const losses = await Promise.all(
        parameters.map((p, i) => at(i + 1, () => tf.square(p)) as Promise<tf.Tensor>),
      );
      await autograd.backward(id, losses);
      mortal.dieAfter(steps);
      return await optimizer.step(id).then(
        () => false,
        (error: { code?: string }) => {
          expect(error.code).toMatch(/^(owner_died|unavailable)$/);
          return true;
        },
      );
    });
  });
  const [one, two] = parameters.map((parameter) => parameter.dataSync()[0]);
  expect(two).toBe(one);
  expect([1, -1]).toContain(one);
  tf.dispose(parameters);
  await Promise.all(team.workers.map((worker) => worker.shutdown({ graceful: false })));
  await until(() => tf.memory().numTensors === tensors);
  if (!failed) {
    expect(one).toBe(-1);
    return 'all';
  }
  return one === 1 ? 'none' : 'all that are left';
}

test('an owner that dies after any number of steps: all that are left, or none', async () => {
  const outcomes: Outcome[] = [];
  for (let steps = 0; outcomes.at(-1) !== 'all'; steps++) outcomes.push(await stepWhile(steps));
  // In this order: too early to be prepared, too late to answer that it has committed, late enough.
  expect([...new Set(outcomes)]).toEqual(['none', 'all that are left', 'all']);
  expect(outcomes.indexOf('all')).toBe(outcomes.length - 1);
}, 60_000);
