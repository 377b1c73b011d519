/** Parameter groups: options of their own, to be written while training goes on, and what a snapshot keeps of them. */
import { beforeAll, expect, test } from '@jest/globals';
import { Adam } from '../../optim/adam.ts';
import type { StateDict } from '../../optim/rule.ts';
import { SGD } from '../../optim/sgd.ts';
import { startEngine, tf } from '../../tensor/index.ts';
import { expectNoLeak } from '../support/leaks.ts';

beforeAll(async () => {
  await startEngine('cpu');
});

const invalid: unknown = expect.objectContaining({ code: 'invalid_argument' });

/** Three parameters that are 1, each with the gradient 1; freed after `fn`. */
async function withThree(
  fn: (
    parameters: [tf.Variable, tf.Variable, tf.Variable],
    gradients: ReadonlyMap<tf.Tensor, tf.Tensor>,
  ) => void | Promise<void>,
): Promise<void> {
  await expectNoLeak(async () => {
    const one = tf.scalar(1);
    const parameters: [tf.Variable, tf.Variable, tf.Variable] = [
      tf.variable(one),
      tf.variable(one),
      tf.variable(one),
    ];
    try {
      await fn(parameters, new Map(parameters.map((p) => [p, one])));
    } finally {
      tf.dispose([one, ...parameters]);
    }
  });
}

function valuesOf(parameters: readonly tf.Variable[]): number[] {
  return parameters.map((parameter) => parameter.dataSync()[0] ?? Number.NaN);
}

test('a group has the options of the optimizer where it has none of its own', () =>
  withThree(([a, b, c], gradients) => {
    const groups = [{ params: [a], lr: 0.5 }, { params: [b] }];
    const optimizer = new SGD(groups, { lr: 0.25 });
    optimizer.step(gradients);
    expect(valuesOf([a, b, c])).toEqual([0.5, 0.75, 1]);
    optimizer.addParamGroup({ params: [c], lr: 1 });
    optimizer.step(gradients);
    expect(valuesOf([a, b, c])).toEqual([0, 0.5, 0]);
    expect(optimizer.paramGroups.map(({ params, lr }) => [params, lr])).toEqual([
      [[a], 0.5],
      [[b], 0.25],
      [[c], 1],
    ]);
    optimizer.dispose();
  }));

test('options written between steps hold from the next step on', () =>
  withThree(([a, b], gradients) => {
    const optimizer = new SGD([a, b], { lr: 0.5 });
    const [group] = optimizer.paramGroups;
    if (group === undefined) throw new Error('no group');
    group.lr = 0.25;
    optimizer.step(gradients);
    expect(valuesOf([a, b])).toEqual([0.75, 0.75]);
    group.lr = Number.NaN;
    expect(() => optimizer.step(gradients)).toThrow(invalid);
    expect(valuesOf([a, b])).toEqual([0.75, 0.75]);
    optimizer.dispose();
  }));

test('without options of the optimizer each group must have what is required', () =>
  withThree(([a, b], gradients) => {
    const optimizer = new SGD([
      { params: [a], lr: 0.5 },
      { params: [b], lr: 0.25 },
    ]);
    optimizer.step(gradients);
    expect(valuesOf([a, b])).toEqual([0.5, 0.75]);
    expect(() => new SGD([{ params: [a], lr: 0.5 }, { params: [b] }])).toThrow(
      /needs the option lr/,
    );
    optimizer.dispose();
  }));

test('groups that make no sense are refused', () =>
  withThree(([a, b, c], gradients) => {
    const [one] = gradients.values();
    const bad: unknown[] = [
      [{ params: [] }],
      [{ params: a }],
      [{ params: [a, a] }],
      [{ params: [a] }, { params: [b, a] }],
      [{ params: [one] }],
      [{ params: [a], speed: 1 }],
      [{ params: [a], lr: -1 }],
      [{}],
      [a, { params: [b] }],
      [undefined],
    ];
    for (const groups of bad) {
      expect(() => new SGD(groups as tf.Variable[], { lr: 1 })).toThrow(invalid);
    }
    const optimizer = new SGD([a], { lr: 0.5 });
    for (const group of [{ params: [a] }, { params: [b], lr: -1 }, { params: [] }]) {
      expect(() => optimizer.addParamGroup(group)).toThrow(invalid);
    }
    optimizer.step(gradients);
    expect(valuesOf([a, b, c])).toEqual([0.5, 1, 1]);
    optimizer.dispose();
    expect(() => optimizer.addParamGroup({ params: [b] })).toThrow(
      expect.objectContaining({ code: 'tensor_freed' }),
    );
  }));

test('a snapshot keeps groups, step counts and the first learning rate; it fits the same groups only', () =>
  withThree(async ([a, b, c], gradients) => {
    const make = (): Adam =>
      new Adam([{ params: [a, b], lr: 0.5 }, { params: [c] }], { betas: [0.5, 0.9] });
    const optimizer = make();
    optimizer.step(gradients);
    optimizer.step(new Map([...gradients].slice(0, 1)));
    const [first] = optimizer.paramGroups;
    if (first === undefined) throw new Error('no group');
    first.initialLr = 0.5;
    first.lr = 0.125;
    const saved = await optimizer.stateDict();
    expect(saved.state.map(({ step }) => step)).toEqual([2, 1, 1]);
    expect(saved.paramGroups.map(({ params }) => params)).toEqual([[0, 1], [2]]);
    expect(saved.paramGroups[0]?.options).toMatchObject({ lr: 0.125, betas: [0.5, 0.9] });

    const other = make();
    other.loadStateDict(structuredClone(saved));
    expect(await other.stateDict()).toEqual(saved);
    expect(other.paramGroups[0]?.initialLr).toBe(0.5);

    const flat = new Adam([a, b, c]);
    expect(() => flat.loadStateDict(saved)).toThrow(invalid);
    const turned = new Adam([{ params: [a] }, { params: [b, c] }]);
    expect(() => turned.loadStateDict(saved)).toThrow(invalid);
    for (const each of [optimizer, other, flat, turned]) each.dispose();
  }));

test('a snapshot is of the moment of the call and shares nothing with the optimizer', () =>
  withThree(async ([a], gradients) => {
    const optimizer = new SGD([a], { lr: 0.1, momentum: 0.5 });
    const bufferOf = ({ state }: StateDict): Float32Array | undefined =>
      state[0]?.tensors['momentumBuffer']?.values;
    optimizer.step(gradients);
    const saving = optimizer.stateDict();
    optimizer.step(gradients);
    const saved = await saving;
    expect(saved.state[0]?.step).toBe(1);
    expect(bufferOf(saved)).toEqual(Float32Array.of(1));

    optimizer.loadStateDict(saved);
    bufferOf(saved)?.fill(7);
    expect(bufferOf(await optimizer.stateDict())).toEqual(Float32Array.of(1));
    optimizer.dispose();
  }));
