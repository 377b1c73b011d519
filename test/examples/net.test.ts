/** The tutorial's ConvNet: PyTorch's shapes, initial values and dropout, gradients to all parameters. */
import { beforeAll, expect, test } from '@jest/globals';
import { tf } from 'gradwire';
import { Net } from '../../examples/parameter-server/net.ts';
import { startEngine } from '../../tensor/index.ts';
import { expectNoLeak } from '../support/leaks.ts';

beforeAll(async () => {
  await startEngine('wasm');
});

/** Runs `fn` with a net and random images, and frees them. */
async function withNet(
  seed: number,
  fn: (net: Net, images: tf.Tensor4D) => Promise<void>,
): Promise<void> {
  await expectNoLeak(async () => {
    const net = new Net({ seed });
    const images = tf.randomNormal<tf.Rank.R4>([2, 28, 28, 1], 0, 1, 'float32', 5);
    try {
      await fn(net, images);
    } finally {
      images.dispose();
      net.dispose();
    }
  });
}

async function output(net: Net, images: tf.Tensor4D): Promise<number[]> {
  const result = net.forward(images);
  const values = await result.data();
  result.dispose();
  return [...values];
}

async function sameValues(tensor: tf.Tensor | undefined, values: Float32Array): Promise<boolean> {
  const others = await tensor?.data();
  return others?.length === values.length && values.every((value, i) => value === others[i]);
}

test('has the parameters of the tutorial, by name and in order', async () => {
  await withNet(1, async (net) => {
    const shapes = [...net.namedParameters()].map(([name, variable]) => [name, variable.shape]);
    expect(shapes).toEqual([
      ['conv1.weight', [3, 3, 1, 32]],
      ['conv1.bias', [32]],
      ['conv2.weight', [3, 3, 32, 64]],
      ['conv2.bias', [64]],
      ['fc1.weight', [9216, 128]],
      ['fc1.bias', [128]],
      ['fc2.weight', [128, 10]],
      ['fc2.bias', [10]],
    ]);
    expect(net.parameters()).toEqual([...net.namedParameters().values()]);
    expect(net.parameters().reduce((sum, variable) => sum + variable.size, 0)).toBe(1_199_882);
  });
});

test('initial values are uniform within 1 / sqrt(fan in), and come from the seed', async () => {
  const fanIn: Record<string, number> = { conv1: 9, conv2: 288, fc1: 9216, fc2: 128 };
  await withNet(3, async (net) => {
    const same = new Net({ seed: 3 });
    const other = new Net({ seed: 4 });
    for (const [name, variable] of net.namedParameters()) {
      const values = await variable.data<'float32'>();
      const bound = 1 / Math.sqrt(fanIn[name.split('.')[0] ?? ''] ?? Number.NaN);
      const limit = bound * (1 + 1e-6);
      expect(values.every((value) => value >= -limit && value <= limit)).toBe(true);
      if (values.length >= 64) {
        // Standard deviation of a uniform distribution: its half width by sqrt(3).
        const variance = values.reduce((sum, value) => sum + value * value, 0) / values.length;
        const tolerance = 2 / Math.sqrt(values.length);
        expect(Math.abs((Math.sqrt(variance) * Math.sqrt(3)) / bound - 1)).toBeLessThan(tolerance);
      }
      expect(await sameValues(same.namedParameters().get(name), values)).toBe(true);
      expect(await sameValues(other.namedParameters().get(name), values)).toBe(false);
    }
    same.dispose();
    other.dispose();
  });
});

test('gives log-probabilities; in evaluation the same ones each time', async () => {
  await withNet(1, async (net, images) => {
    expect(net.eval()).toBe(net);
    const result = net.forward(images);
    expect([result.shape, result.dtype]).toEqual([[2, 10], 'float32']);
    result.dispose();
    const once = await output(net, images);
    for (const row of [once.slice(0, 10), once.slice(10)]) {
      expect(row.reduce((sum, value) => sum + Math.exp(value), 0)).toBeCloseTo(1, 5);
    }
    expect(await output(net, images)).toEqual(once);
  });
});

test('in training each step drops other values, the same ones under the same seed', async () => {
  await withNet(1, async (net, images) => {
    const twin = new Net({ seed: 1 });
    const steps = [await output(net, images), await output(net, images)];
    expect(steps[0]).not.toEqual(steps[1]);
    expect([await output(twin, images), await output(twin, images)]).toEqual(steps);
    const third = await output(net, images);
    await output(twin.eval(), images);
    // Evaluation in between takes no step.
    expect(await output(twin.train(), images)).toEqual(third);
    twin.dispose();
  });
});

test('Dropout2d drops whole channels, Dropout single values, and both keep the mean', async () => {
  await withNet(2, async (net) => {
    const maps = tf.ones<tf.Rank.R4>([20, 3, 3, 64]);
    const dropped = net.dropout1.forward(maps);
    const values = await dropped.data();
    let zeros = 0;
    for (let image = 0; image < 20; image++) {
      for (let channel = 0; channel < 64; channel++) {
        const at = (pixel: number) => values[(image * 9 + pixel) * 64 + channel];
        const first = at(0);
        if (first === 0) zeros++;
        else expect(first).toBeCloseTo(1 / 0.75, 5);
        expect(new Set(Array.from({ length: 9 }, (_, pixel) => at(pixel))).size).toBe(1);
      }
    }
    expect(Math.abs(zeros / (20 * 64) - 0.25)).toBeLessThan(0.05);
    const flat = tf.ones<tf.Rank.R2>([20, 128]);
    const halved = net.dropout2.forward(flat);
    const halves = [...(await halved.data())];
    expect(new Set(halves)).toEqual(new Set([0, 2]));
    expect(Math.abs(halves.filter((v) => v === 0).length / halves.length - 0.5)).toBeLessThan(0.05);
    net.eval();
    expect(net.dropout1.forward(maps)).toBe(maps);
    tf.dispose([maps, dropped, flat, halved]);
  });
});

test('a gradient reaches each of the eight parameters', async () => {
  await withNet(1, async (net, images) => {
    const parameters = net.parameters();
    const target = tf.tidy(() => tf.oneHot(tf.tensor1d([3, 7], 'int32'), 10));
    const { value, grads } = tf.variableGrads(
      () => tf.neg(tf.mean(tf.sum(tf.mul(net.forward(images), target), 1))),
      parameters,
    );
    expect(Object.keys(grads).sort()).toEqual(parameters.map((p) => p.name).sort());
    for (const parameter of parameters) {
      const gradient = grads[parameter.name];
      expect(gradient?.shape).toEqual(parameter.shape);
      const values = (await gradient?.data<'float32'>()) ?? new Float32Array();
      expect(values.every((v: number) => v > -100 && v < 100)).toBe(true);
      expect(values.some((v: number) => v !== 0)).toBe(true);
    }
    tf.dispose([value, target, grads]);
  });
});

test('two nets live side by side and share nothing', async () => {
  await withNet(1, async (net, images) => {
    const before = await output(net.eval(), images);
    const other = new Net({ seed: 1 });
    const names = [...net.parameters(), ...other.parameters()].map((variable) => variable.name);
    expect(new Set(names).size).toBe(16);
    tf.tidy(() => other.fc2.bias.assign(tf.ones([10])));
    other.dispose();
    expect(await output(net, images)).toEqual(before);
  });
});
