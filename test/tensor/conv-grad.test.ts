/** Gradients of convolutions: the wasm and cpu kernels against a plain sum in double precision and against each other. */
import { describe, expect, test } from '@jest/globals';
import { tf } from '../../tensor/index.ts';
import { convInfo, forEachWindow } from '../../tensor/kernels/conv-info.ts';
import { ENGINES, expectSameOnBoth, noise, numbersOn, relativeDifference } from './support.ts';

interface Case {
  readonly batch: number;
  readonly size: readonly [number, number];
  readonly channels: readonly [number, number];
  readonly kernel: readonly [number, number];
  readonly strides: [number, number];
  readonly pad: 'valid' | 'same' | number;
}

const CASES: Case[] = [];
for (const [i, batch] of [1, 3, 5].entries()) {
  for (const inChannels of [1, 2, 3, 7, 8, 9]) {
    for (const pad of ['valid', 'same'] as const) {
      for (const strides of [
        [1, 1],
        [2, 2],
        [1, 2],
        [3, 2],
      ] as [number, number][]) {
        const kernel = (
          [
            [3, 3],
            [1, 1],
            [2, 5],
          ] as const
        )[(i + inChannels) % 3] ?? [3, 3];
        const channels = [inChannels, ((inChannels * 5) % 9) + 1] as const;
        CASES.push({ batch, size: [9, 7], channels, kernel, strides, pad });
      }
    }
  }
}
CASES.push(
  { batch: 3, size: [8, 8], channels: [8, 4], kernel: [3, 3], strides: [1, 1], pad: 2 },
  { batch: 2, size: [8, 8], channels: [2, 4], kernel: [3, 3], strides: [2, 2], pad: 1 },
  // Kernel of one pixel with padding: some of dy sees no pixel at all.
  { batch: 2, size: [5, 5], channels: [9, 2], kernel: [1, 1], strides: [1, 1], pad: 1 },
  // Several groups of images and a smaller last one.
  { batch: 5, size: [26, 26], channels: [32, 16], kernel: [3, 3], strides: [1, 1], pad: 'valid' },
  { batch: 5, size: [40, 40], channels: [7, 3], kernel: [5, 5], strides: [1, 1], pad: 'same' },
);

function shapes({ batch, size, channels, kernel, strides, pad }: Case) {
  const xShape: [number, number, number, number] = [batch, ...size, channels[0]];
  const filterShape: [number, number, number, number] = [...kernel, ...channels];
  const attrs = { strides, pad, dataFormat: 'NHWC' as const, dimRoundingMode: 'floor' as const };
  const info = convInfo(xShape, filterShape, attrs);
  return { xShape, filterShape, attrs, info, dyShape: [...info.outShape] };
}

function name({ batch, size, channels, kernel, strides, pad }: Case): string {
  return `${batch}x${size.join('x')}, ${kernel.join('x')} ${channels.join('->')}, stride ${strides}, ${pad}`;
}

describe.each(ENGINES)('Conv2DBackpropFilter on %s', (engine) => {
  test('is the sum of the products of windows and dy', async () => {
    for (const one of CASES) {
      const { xShape, filterShape, attrs, info, dyShape } = shapes(one);
      const x = noise(xShape, 1);
      const dy = noise(dyShape, 2);
      const [xs, ds] = [x.dataSync(), dy.dataSync()];
      const { inChannels, outChannels } = info;
      const wanted = new Float64Array(filterShape.reduce((a, b) => a * b));
      forEachWindow(info, (atX, atDy, position) => {
        for (let c = 0; c < inChannels; c++) {
          for (let o = 0; o < outChannels; o++) {
            const at = (position * inChannels + c) * outChannels + o;
            wanted[at] = (wanted[at] ?? 0) + (xs[atX + c] ?? 0) * (ds[atDy + o] ?? 0);
          }
        }
      });
      const [got = []] = await numbersOn(engine, () =>
        tf.engine().runKernel('Conv2DBackpropFilter', { x, dy }, { ...attrs, filterShape }),
      );
      tf.dispose([x, dy]);
      expect({ case: name(one), far: relativeDifference(got, wanted) > 2e-6 }).toEqual({
        case: name(one),
        far: false,
      });
    }
  });
});

test('Conv2DBackpropInput on wasm is that of the cpu package', async () => {
  for (const one of CASES) {
    const { xShape, filterShape, attrs, dyShape } = shapes(one);
    const dy = noise(dyShape, 3);
    const filter = noise(filterShape, 4);
    await expectSameOnBoth(() =>
      tf
        .engine()
        .runKernel('Conv2DBackpropInput', { dy, filter }, { ...attrs, inputShape: xShape }),
    );
    tf.dispose([dy, filter]);
  }
});

test('a net of conv1d, conv2dTranspose, separable and depthwise convolutions has the same gradients on both', async () => {
  const x = noise([2, 8, 8, 3], 5);
  const signal = noise([2, 9, 4], 6);
  const filters = [
    noise([3, 3, 5, 3], 7),
    noise([3, 3, 5, 2], 8),
    noise([1, 1, 10, 4], 9),
    noise([3, 4, 6], 10),
  ];
  await expectSameOnBoth(() => {
    const f = (a: tf.Tensor, b: tf.Tensor, c: tf.Tensor, d: tf.Tensor) => {
      const up = tf.conv2dTranspose(x as tf.Tensor4D, a as tf.Tensor4D, [2, 16, 16, 5], 2, 'same');
      const y = tf.separableConv2d(up, b as tf.Tensor4D, c as tf.Tensor4D, 1, 'same');
      const z = tf.conv1d(signal as tf.Tensor3D, d as tf.Tensor3D, 1, 'valid');
      return tf.add(tf.sum(tf.square(y)), tf.sum(tf.square(z))) as tf.Scalar;
    };
    const [a, b, c, d] = filters as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
    return tf.grads(f)([a, b, c, d]);
  });
  tf.dispose([x, signal, ...filters]);
});

test('depthwise gradients are those of the cpu package', async () => {
  for (const [channels, each] of [
    [1, 1],
    [4, 1],
    [3, 2],
    [5, 3],
  ] as const) {
    for (const pad of ['valid', 'same'] as const) {
      for (const stride of [1, 2]) {
        const xShape: [number, number, number, number] = [3, 9, 8, channels];
        const filterShape: [number, number, number, number] = [3, 2, channels, each];
        const attrs = {
          strides: [stride, stride] as [number, number],
          dilations: [1, 1] as [number, number],
          pad,
        };
        const info = convInfo(xShape, filterShape, attrs, true);
        const tensors = [noise(xShape, 1), noise([...info.outShape], 2), noise(filterShape, 3)];
        const [x, dy, filter] = tensors as [tf.Tensor, tf.Tensor, tf.Tensor];
        const run = tf.engine().runKernel.bind(tf.engine());
        await expectSameOnBoth(() => [
          run(
            'DepthwiseConv2dNativeBackpropFilter',
            { x, dy },
            { ...attrs, dimRoundingMode: 'floor', filterShape },
          ),
          run(
            'DepthwiseConv2dNativeBackpropInput',
            { dy, filter },
            { ...attrs, dimRoundingMode: 'floor', inputShape: xShape },
          ),
        ]);
        tf.dispose(tensors);
      }
    }
  }
});
