/** The other repaired kernels against the cpu engine, and the tables of repairs themselves. */
import { expect, test } from '@jest/globals';
import { GRADIENT_REPAIRS, installGradients } from '../../tensor/gradients.ts';
import { REPAIRS, tf } from '../../tensor/index.ts';
import { installKernels } from '../../tensor/kernels.ts';
import { LAYER_REPAIRS } from '../../tensor/layer-repairs.ts';
import { expectNoLeak, expectSameOnBoth, noise, numbersOn } from './support.ts';

test('every repair of the table is installed, once', () => {
  installKernels();
  for (const { kernel, engine, run, reason } of REPAIRS) {
    expect(tf.getKernel(kernel, engine).kernelFunc).toBe(run);
    expect(reason).toMatch(/^.{10,70}$/);
  }
  expect(new Set(REPAIRS.map(({ kernel, engine }) => `${engine}/${kernel}`)).size).toBe(
    REPAIRS.length,
  );
});

test('every gradient of the table is installed, once', () => {
  installGradients();
  for (const { kernel, run, reason } of GRADIENT_REPAIRS) {
    expect(tf.getGradient(kernel).gradFunc).toBe(run);
    expect(reason).toMatch(/^.{10,70}$/);
  }
  expect(new Set(GRADIENT_REPAIRS.map(({ kernel }) => kernel)).size).toBe(GRADIENT_REPAIRS.length);
});

test('every layer of the table is replaced, once', () => {
  for (const { prototype, run, reason, layer } of LAYER_REPAIRS) {
    expect(prototype.call).toBe(run);
    expect(reason).toMatch(/^.{10,70}$/);
    expect(tf.layers).toHaveProperty(layer);
  }
});

test('MaxPoolGrad, also where nothing is positive', async () => {
  for (const batch of [1, 3, 5]) {
    for (const [size, channels] of [
      [6, 1],
      [7, 4],
      [9, 9],
    ] as const) {
      for (const [filter, stride] of [
        [2, 2],
        [3, 1],
        [3, 2],
        [2, 3],
      ] as const) {
        for (const pad of ['valid', 'same'] as const) {
          const x = noise([batch, size, size, channels], batch);
          await expectSameOnBoth(() => {
            const below = tf.sub(x, 2) as tf.Tensor4D;
            return tf.grad((y: tf.Tensor) => {
              const pooled = tf.maxPool(y as tf.Tensor4D, filter, stride, pad);
              return tf.mul(pooled, tf.square(pooled));
            })(below);
          });
          x.dispose();
        }
      }
    }
  }
});

test('MaxPoolGrad gives the gradient to the first of equal elements, and to a NaN', async () => {
  for (const stride of [2, 1]) {
    const grad = (values: number[]) => () =>
      tf.grad((x: tf.Tensor) => tf.maxPool(x as tf.Tensor4D, 2, stride, 'valid'))(
        tf.tensor(values, [1, 2, 2, 1]),
      );
    expect(await numbersOn('wasm', grad([0, 0, 0, 0]))).toEqual([Float32Array.of(1, 0, 0, 0)]);
    expect(await numbersOn('wasm', grad([1, 3, 3, 2]))).toEqual([Float32Array.of(0, 1, 0, 0)]);
    expect(await numbersOn('wasm', grad([9, Number.NaN, 1, 2]))).toEqual([
      Float32Array.of(0, 1, 0, 0),
    ]);
    const nothing = grad([-Infinity, -Infinity, -Infinity, -Infinity]);
    expect(await numbersOn('wasm', nothing)).toEqual([Float32Array.of(1, 0, 0, 0)]);
  }
});

test('Sum over any axes', async () => {
  for (const shape of [[5], [1, 1], [7, 3], [8, 1], [2, 3, 4, 5], [3, 0, 2], [0, 4], [13, 9]]) {
    const x = noise(shape, 3);
    const count = shape.length;
    const all = [...shape.keys()];
    await expectSameOnBoth(() => [
      tf.sum(x),
      tf.sum(x, 0),
      tf.sum(x, -1, true),
      tf.sum(x, all.slice(0, count - 1)),
      tf.sum(x, all.slice(0, count - 1), true),
      tf.sum(x, all.slice(1)),
    ]);
    x.dispose();
  }
  const [whole = []] = await numbersOn('wasm', () => tf.sum(tf.ones([4, 2], 'int32'), 0));
  expect(Array.from(whole)).toEqual([4, 4]);
});

test('unsortedSegmentSum and the gradient of gather', async () => {
  const x = noise([6, 3, 2], 1);
  const table = noise([5, 4], 2);
  await expectSameOnBoth(() => {
    const rows = tf.tensor1d([4, 0, 4, 1, 0, 4], 'int32');
    const pairs = tf.tensor2d(
      [
        [4, 0],
        [4, 4],
      ],
      [2, 2],
      'int32',
    );
    return [
      tf.unsortedSegmentSum(x, rows, 5),
      tf.unsortedSegmentSum(tf.tensor([1, 2, 3], [3], 'int32'), tf.tensor1d([1, 1, 0], 'int32'), 2),
      tf.grad((t: tf.Tensor) => tf.square(tf.gather(t, rows)))(table),
      tf.grad((t: tf.Tensor) => tf.square(tf.gather(t, pairs)))(table),
      tf.grad((t: tf.Tensor) => tf.square(tf.gather(t, tf.tensor1d([3, 3, 1], 'int32'), 1)))(table),
    ];
  });
  const [outside = []] = await numbersOn('wasm', () =>
    tf.unsortedSegmentSum(tf.tensor1d([1, 2, 3]), tf.tensor1d([-1, 0, 7], 'int32'), 2),
  );
  expect(Array.from(outside)).toEqual([2, 0]);
  tf.dispose([x, table]);
});

test('kernels of the cpu engine that stand in: einsum, pooling in 3-D, dilation', async () => {
  const tensors = [
    noise([3, 4], 1),
    noise([4, 5], 2),
    noise([2, 4, 4, 4, 3], 3),
    noise([2, 6, 6, 3], 4),
    noise([2, 2, 3], 5),
  ];
  const [a, b, volume, image, filter] = tensors as [
    tf.Tensor,
    tf.Tensor,
    tf.Tensor5D,
    tf.Tensor4D,
    tf.Tensor3D,
  ];
  await expectSameOnBoth(() => {
    const low = tf.sub(volume, 3) as tf.Tensor5D;
    const below = tf.sub(image, 3) as tf.Tensor4D;
    const { result: pooled, indexes: at } = tf.maxPoolWithArgmax(below, 2, 2, 'valid');
    return [
      tf.einsum('ij,jk->ik', a, b),
      tf.einsum('ij->ji', a),
      tf.einsum('ij->', a),
      tf.maxPool3d(low, 2, 2, 'valid'),
      tf.grad((x: tf.Tensor) => tf.square(tf.maxPool3d(x as tf.Tensor5D, 2, 2, 'same')))(low),
      ...[pooled, at].flatMap((one) => one ?? []),
      tf.dilation2d(tf.sub(image, 3) as tf.Tensor4D, filter, 1, 'valid'),
      ...tf.grads((x: tf.Tensor, f: tf.Tensor) =>
        tf.square(tf.dilation2d(x as tf.Tensor4D, f as tf.Tensor3D, 1, 'same')),
      )([tf.sub(image, 3), filter]),
    ];
  });
  tf.dispose(tensors);
});

test('casts between dtypes', async () => {
  await expectSameOnBoth(() => {
    const x = tf.tensor([1.7, 0, -2.2, 0.5, 256, Number.NaN]);
    const whole = tf.cast(tf.tensor([1.7, 0, -2.2, 256]), 'int32');
    return [
      whole,
      tf.cast(x, 'bool'),
      tf.cast(whole, 'bool'),
      tf.cast(whole, 'float32'),
      tf.cast(tf.cast(x, 'bool'), 'float32'),
      tf.imag(tf.cast(whole, 'complex64')),
      tf.cast(tf.cast(whole, 'complex64'), 'int32'),
    ];
  });
});

test('a clone shares its data until the last of them is disposed', async () => {
  const before = tf.engine().backend.numDataIds();
  await expectNoLeak(() => {
    const x = tf.tensor([1, 2, 3]);
    const words = tf.tensor(['a', 'b']);
    const clones = [tf.clone(x), tf.clone(words)];
    clones.push(tf.engine().runKernel('Cast', { x }, { dtype: 'float32' }));
    expect(tf.engine().backend.numDataIds()).toBe(before + 2);
    tf.dispose([x, words]);
    expect(clones.map((clone) => Array.from(clone.dataSync()))).toEqual([
      [1, 2, 3],
      ['a', 'b'],
      [1, 2, 3],
    ]);
    tf.dispose(clones);
  });
});
