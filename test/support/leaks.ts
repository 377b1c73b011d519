/** Ownership check of the tests: what a block makes, it frees. */
import { tf } from '../../tensor/index.ts';

/**
 * Runs `fn` and gives its result; fails if it leaves another number of tensors or data buffers than it found. Start the
 * engine before: some engines make tensors when they start.
 */
export async function expectNoLeak<R>(fn: () => R | Promise<R>): Promise<R> {
  const before = tf.memory();
  const result = await fn();
  const after = tf.memory();
  const tensors = after.numTensors - before.numTensors;
  const buffers = after.numDataBuffers - before.numDataBuffers;
  if (tensors !== 0 || buffers !== 0) {
    throw new Error(`leak: ${signed(tensors)} tensors, ${signed(buffers)} data buffers`);
  }
  return result;
}

function signed(n: number): string {
  return n > 0 ? `+${n}` : String(n);
}
