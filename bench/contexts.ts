/** What many contexts at once leave behind: they should leave nothing. Runs in a pair. */
import { autograd as dist, rpc, tf } from 'gradwire';
import { type Figure, figure } from './harness.ts';
import { SERVER } from './pair.ts';
import { countTensors, scale } from './remote.ts';

const CONTEXTS = 1_000;
const AT_ONCE = 50;

/** The end of a context is told to the others, not awaited by its owner: how long they may take to hear of the last. */
const SETTLE_MS = 5_000;

/** Tensors that 1,000 contexts, 50 at a time, leave on both workers together. */
export async function leakedTensors(): Promise<Figure> {
  const x = tf.tidy(() => tf.variable(tf.ones([3, 3])));
  // The first ones make what stays: the other side's variable.
  await inContexts(x, AT_ONCE);
  const before = await held(await held());
  await inContexts(x, CONTEXTS);
  const leaked = (await held(before)) - before;
  x.dispose();
  return figure('autograd.contexts', {
    unit: 'tensors',
    better: 'less',
    ours: [leaked],
    target: { of: 'value', most: 0 },
    conditions: { engine: tf.getBackend(), contexts: CONTEXTS, atOnce: AT_ONCE },
  });
}

async function inContexts(x: tf.Variable, count: number): Promise<void> {
  let left = count;
  const one = async (): Promise<void> => {
    while (left-- > 0) {
      await dist.context(async (contextId) => {
        const loss = tf.sum(tf.square(await rpc.rpcSync(SERVER, scale, [x])));
        await dist.backward(contextId, [loss]);
        const found = dist.getGradients(contextId).size;
        if (found !== 1) throw new Error(`${found} gradients of 1`);
      });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
}

/** Tensors on both workers, once they are no more than `most` or the time is over. */
async function held(most: number = 0): Promise<number> {
  const end = performance.now() + SETTLE_MS;
  for (;;) {
    const tensors = tf.memory().numTensors + (await rpc.rpcSync(SERVER, countTensors));
    if (tensors <= most || performance.now() > end) return tensors;
  }
}
