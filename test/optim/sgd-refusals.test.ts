import { beforeAll, expect, test } from '@jest/globals';
import '@tensorflow/tfjs-backend-cpu';
import type { ErrorCode } from '../../errors.ts';
import type { StateDict } from '../../optim/rule.ts';
import { SGD } from '../../optim/sgd.ts';
import { tf } from '../../tensor/index.ts';
import { expectNoLeak } from '../support/leaks.ts';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

function expectCode(code: ErrorCode, fn: () => unknown): void {
  expect(fn).toThrow(expect.objectContaining({ code }));
}

/** A parameter of [1, 2] with a gradient of ones, freed after `fn`. */
async function withParameter(
  fn: (parameter: tf.Variable, gradient: tf.Tensor) => void | Promise<void>,
): Promise<void> {
  await expectNoLeak(async () => {
    const value = tf.tensor1d([1, 2]);
    const [parameter, gradient] = [tf.variable(value), tf.ones([2])];
    try {
      await fn(parameter, gradient);
    } finally {
      tf.dispose([value, parameter, gradient]);
    }
  });
}

test.each([
  undefined,
  {},
  { lr: undefined },
  { lr: -0.1 },
  { lr: Number.NaN },
  { lr: '0.1' },
  { lr: 0.1, momentum: -1 },
  { lr: 0.1, momentum: Number.POSITIVE_INFINITY },
  { lr: 0.1, weightDecay: -1 },
  { lr: 0.1, dampening: Number.NaN },
  { lr: 0.1, nesterov: 1 },
  { lr: 0.1, nesterov: true },
  { lr: 0.1, momentum: 0.9, dampening: 0.1, nesterov: true },
  { lr: 0.1, weight_decay: 0.1 },
])('options %j are refused', async (options) => {
  await withParameter((parameter) => {
    // The types forbid most of these; a peer or a file does not know them.
    expectCode('invalid_argument', () => new SGD([parameter], options as never));
  });
});

test('an option given as undefined has its default', async () => {
  await withParameter((parameter) => {
    const options = { lr: 0.1, momentum: undefined } as unknown as { lr: number };
    new SGD([parameter], options).dispose();
  });
});

test('an empty or repeated list and what is no float32 Variable are refused', async () => {
  await withParameter((parameter, gradient) => {
    const ints = tf.tensor1d([1], 'int32');
    const whole = tf.variable(ints);
    const lists: unknown[] = [[], undefined, [parameter, parameter], [gradient], [whole]];
    for (const list of lists) {
      expectCode('invalid_argument', () => new SGD(list as tf.Variable[], { lr: 0.1 }));
    }
    tf.dispose([ints, whole]);
  });
});

test('a gradient that does not fit is refused before anything is updated', async () => {
  await withParameter(async (parameter, gradient) => {
    const other = tf.variable(gradient);
    const wrong = [tf.ones([1]), tf.ones([2, 1]), tf.ones([2], 'int32')];
    const optimizer = new SGD([parameter, other], { lr: 0.1, momentum: 0.9 });
    for (const bad of wrong) {
      const gradients = new Map<tf.Tensor, tf.Tensor>([
        [parameter, gradient],
        [other, bad],
      ]);
      expectCode('invalid_argument', () => optimizer.step(gradients));
    }
    tf.dispose(wrong);
    expectCode('tensor_freed', () => optimizer.step(new Map([[parameter, wrong[0] as tf.Tensor]])));
    expect([...(await parameter.data())]).toEqual([1, 2]);
    const untouched = { step: 0, tensors: {} };
    expect((await optimizer.stateDict()).state).toEqual([untouched, untouched]);
    optimizer.dispose();
    other.dispose();
  });
});

test('tensors that are no parameters are ignored, and saved values of a live graph stay', async () => {
  await withParameter(async (parameter, gradient) => {
    const before = tf.clone(parameter);
    const optimizer = new SGD([parameter], { lr: 0.5 });
    optimizer.step(new Map([[gradient, gradient]]));
    expect([...(await parameter.data())]).toEqual([1, 2]);
    optimizer.step(new Map([[parameter, gradient]]));
    expect([...(await parameter.data())]).toEqual([0.5, 1.5]);
    expect([...(await before.data())]).toEqual([1, 2]);
    optimizer.dispose();
    before.dispose();
  });
});

test('state survives the tidy around a step', async () => {
  await withParameter(async (parameter, gradient) => {
    const optimizer = new SGD([parameter], { lr: 1, momentum: 0.5 });
    for (let i = 0; i < 2; i++) {
      tf.tidy(() => optimizer.step(new Map([[parameter, gradient]])));
    }
    expect([...(await parameter.data())]).toEqual([-1.5, -0.5]);
    optimizer.dispose();
  });
});

test('saved state of another rule, shape or list is refused and changes nothing', async () => {
  await withParameter(async (parameter, gradient) => {
    const optimizer = new SGD([parameter], { lr: 0.1, momentum: 0.9 });
    optimizer.step(new Map([[parameter, gradient]]));
    const good = await optimizer.stateDict();
    const buffer = { shape: [2], values: new Float32Array(2) };
    const [group] = good.paramGroups;
    const withState = (tensors: unknown): unknown => ({ ...good, state: [{ step: 1, tensors }] });
    const withGroup = (changes: object): unknown => ({
      ...good,
      paramGroups: [{ ...group, ...changes }],
    });
    const bad: unknown[] = [
      undefined,
      { state: good.state },
      { paramGroups: good.paramGroups },
      { ...good, paramGroups: [] },
      withGroup({ options: { ...group?.options, lr: -1 } }),
      withGroup({ options: { ...group?.options, rho: 1 } }),
      withGroup({ options: undefined }),
      withGroup({ params: [0, 1] }),
      withGroup({ initialLr: 'high' }),
      { ...good, state: [] },
      { ...good, state: [undefined] },
      { ...good, state: [{ step: -1, tensors: {} }] },
      { ...good, state: [{ step: 1 }] },
      withState({ expAvg: buffer }),
      withState({ momentumBuffer: { ...buffer, shape: [1, 2] } }),
      withState({ momentumBuffer: { shape: [2], values: [1, 2] } }),
      withState({ momentumBuffer: { ...buffer, values: new Float32Array(3) } }),
    ];
    for (const saved of bad) {
      expectCode('invalid_argument', () => optimizer.loadStateDict(saved as StateDict));
    }
    expect(await optimizer.stateDict()).toEqual(good);
    optimizer.dispose();
  });
});

test('a disposed optimizer refuses, and disposing it again does nothing', async () => {
  await withParameter(async (parameter, gradient) => {
    const optimizer = new SGD([parameter], { lr: 0.1, momentum: 0.9 });
    optimizer.step(new Map([[parameter, gradient]]));
    optimizer.dispose();
    optimizer.dispose();
    expectCode('tensor_freed', () => optimizer.step(new Map([[parameter, gradient]])));
    await expect(optimizer.stateDict()).rejects.toMatchObject({ code: 'tensor_freed' });
  });
});
