/** Messages of a backward pass that are lost or come twice: it fails in time or is right, and nothing is left anywhere (G6). */
import { describe, expect, test } from '@jest/globals';
import { autograd, tf } from '../../index.ts';
import { FaultPlan } from '../../rpc/faults/fault-plan.ts';
import { until } from '../support/until.ts';
import { at, CARRIERS, type Carrier, contextCount, startTeam } from './support.ts';

/** The gradient of sum((w·x)⁴) by way of two workers, of which the first has the variable w, all ones. */
async function fourthPower(timeoutMs: number): Promise<number[]> {
  const [x, w] = [
    [1, 2],
    [1, 1],
  ].map((values) => tf.tidy(() => tf.variable(tf.tensor1d(values)))) as [tf.Variable, tf.Variable];
  try {
    return await autograd.context(async (id) => {
      const square = (y: tf.Tensor): tf.Tensor => tf.square(y);
      const squared = await at(1, (y: tf.Tensor) => at(2, square, tf.mul(y, w)), x as tf.Tensor);
      const back = await at(2, square, squared);
      await autograd.backward(id, [tf.sum(back)], { timeoutMs });
      const gradient = autograd.getGradients(id).get(x) as tf.Tensor;
      return [...(await gradient.data())];
    });
  } finally {
    tf.dispose([x, w]);
  }
}

async function run(
  carrier: Carrier,
  rules: string,
  timeoutMs: number,
): Promise<readonly [unknown, number]> {
  const chaos = new FaultPlan(rules);
  const team = await startTeam(3, carrier, { chaos, engine: 'cpu' });
  const tensors = tf.memory().numTensors;
  try {
    const outcome = await team.as(0, () => fourthPower(timeoutMs)).catch((error) => error.code);
    // The limit of the pass is that of its messages too.
    await until(() => team.workers.every((one) => contextCount(one) === 0), 10_000);
    await team.quiet();
    await until(() => tf.memory().numTensors === tensors);
    return [outcome, chaos.injected.length];
  } finally {
    await team.stop();
  }
}

const KINDS = ['mark', 'gradient', 'passDone', 'finish', 'release'];

describe.each(CARRIERS)('over %s', (carrier) => {
  test.each(KINDS)('the first %s of every worker is lost', async (kind) => {
    const [outcome, faults] = await run(carrier, `${kind}=drop@1`, 400);
    expect(outcome).toEqual(kind === 'release' ? [4, 32] : 'backward_failed');
    expect(faults).toBeGreaterThan(0);
  });

  test.each(KINDS)('every %s comes twice', async (kind) => {
    const [outcome] = await run(carrier, `${kind}=duplicate`, 10_000);
    expect(outcome).toEqual([4, 32]);
  });
});
