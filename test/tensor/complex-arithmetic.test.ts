/** Complex sums, differences and products are the same on both engines, also broadcast; quotients are refused. */
import { expect, test } from '@jest/globals';
import { tf } from '../../tensor/index.ts';
import { expectNoLeak, expectSameOnBoth, noise } from './support.ts';

const complex = (shape: number[], seed: number): tf.Tensor =>
  tf.complex(noise(shape, seed), noise(shape, seed + 1));

test('sums, differences and products', async () => {
  await expectSameOnBoth(() => {
    const [a, b] = [complex([2, 3], 1), complex([2, 3], 5)];
    return [tf.add(a, b), tf.sub(a, b), tf.mul(a, b)].flatMap((z) => [tf.real(z), tf.imag(z)]);
  });
});

test('products are broadcast (on the cpu engine they are not)', async () => {
  await tf.setBackend('wasm');
  for (const [left, right] of [
    [[2, 3], [3]],
    [[], [4]],
    [
      [2, 1, 2],
      [3, 1],
    ],
  ] as const) {
    await expectNoLeak(() => {
      tf.tidy(() => {
        const [a, b] = [complex([...left], 1), complex([...right], 5)];
        const product = tf.mul(a, b);
        const [ar, ai, br, bi] = [tf.real(a), tf.imag(a), tf.real(b), tf.imag(b)];
        const re = tf.sub(tf.mul(ar, br), tf.mul(ai, bi));
        const im = tf.add(tf.mul(ar, bi), tf.mul(ai, br));
        expect(tf.real(product).arraySync()).toEqual(re.arraySync());
        expect(tf.imag(product).arraySync()).toEqual(im.arraySync());
      });
    });
  }
});

test('quotients are refused', async () => {
  await tf.setBackend('wasm');
  await expectNoLeak(() => {
    tf.tidy(() => {
      const z = complex([2], 1);
      expect(() => tf.div(z, z)).toThrow(/does not support complex64/);
    });
  });
});
