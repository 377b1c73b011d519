/** Kernels whose own allocations make the wasm heap grow: views of the heap taken before that would be lost. */
import { expect, test } from '@jest/globals';
import { tf } from '../../tensor/index.ts';
import { expectNoLeak, noise } from './support.ts';

function gradients(inputs: tf.Tensor[]): Float32Array[] {
  const loss = (x: tf.Tensor, w: tf.Tensor, b: tf.Tensor): tf.Tensor => {
    const y = tf.add(tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, 1, 'same'), b);
    const z = tf.reshape(tf.maxPool(tf.relu(y) as tf.Tensor4D, 2, 2, 'valid'), [100, -1]);
    return tf.sum(tf.matMul(z, z, true, false));
  };
  return tf.tidy(() =>
    tf
      .grads(loss)(inputs)
      .map((grad) => grad.dataSync() as Float32Array),
  );
}

test('results are the same whether the heap grows during a kernel or before', async () => {
  await expectNoLeak(() => {
    const [x, w, b] = [noise([16, 40, 40, 16], 1), noise([3, 3, 16, 32], 2), noise([32], 3)];
    const run = (): Buffer =>
      Buffer.concat(gradients([x, w, b]).map(({ buffer }) => new Uint8Array(buffer)));
    expect(run().equals(run())).toBe(true);
    tf.dispose([x, w, b]);
  });
});
