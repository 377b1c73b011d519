import { beforeAll, describe, expect, test } from '@jest/globals';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import type { StateDict } from '../../optim/rule.ts';
import { SGD, type SGDOptions } from '../../optim/sgd.ts';
import { tf } from '../../tensor/index.ts';
import { type GoldenCase, GoldenDraw, golden, hasGradient } from '../support/golden-sgd.ts';
import { expectNoLeak } from '../support/leaks.ts';

const BUFFER = 'momentumBuffer';

/** A run of a golden case: its own parameters and gradients, stepped as far as asked. */
class Run {
  readonly #draw = new GoldenDraw();
  readonly parameters: readonly tf.Variable[];
  #done = 0;

  constructor() {
    this.parameters = this.#draw.tensors().map((value) => {
      const parameter = tf.variable(value);
      value.dispose();
      return parameter;
    });
  }

  stepTo(last: number, optimizer: SGD): void {
    while (this.#done < last) {
      this.#done += 1;
      const gradients = this.#draw.tensors();
      const entries = gradients
        .map((gradient, index) => ({ index, gradient }))
        .filter(({ index }) => hasGradient(index, this.#done))
        .map(({ index, gradient }): [tf.Tensor, tf.Tensor] => [
          this.parameters[index] as tf.Variable,
          gradient,
        ]);
      optimizer.step(new Map(entries));
      for (const gradient of gradients) gradient.dispose();
    }
  }

  async values(): Promise<number[][]> {
    return Promise.all(this.parameters.map(async (p) => [...(await p.data())]));
  }

  dispose(): void {
    for (const parameter of this.parameters) parameter.dispose();
  }
}

function maxDifference(a: readonly number[][], b: readonly number[][]): number {
  const [flatA, flatB] = [a.flat(), b.flat()];
  expect(flatA.length).toBe(flatB.length);
  return flatA.reduce((max, value, i) => Math.max(max, Math.abs(value - (flatB[i] ?? NaN))), 0);
}

async function expectGolden({ options, at, momentumBuffers }: GoldenCase): Promise<void> {
  const run = new Run();
  const start = await run.values();
  const optimizer = new SGD(run.parameters, options);
  // The bound is relative to how far the parameters go in the whole run: one step alone moves less than 1e6 roundings.
  const movement = Math.max(...Object.values(at).map((values) => maxDifference(values, start)));
  for (const [step, expected] of Object.entries(at)) {
    run.stepTo(Number(step), optimizer);
    expect(maxDifference(await run.values(), expected)).toBeLessThanOrEqual(1e-6 * movement);
  }
  const { state } = await optimizer.stateDict();
  const buffers = state.map((named) => [...(named[BUFFER]?.values ?? [])]);
  const expected = momentumBuffers ?? state.map(() => []);
  expect(maxDifference(buffers, expected)).toBeLessThanOrEqual(1e-6);
  optimizer.dispose();
  run.dispose();
}

describe.each(['cpu', 'wasm'])('SGD on engine %s', (engine) => {
  beforeAll(async () => {
    await tf.setBackend(engine);
  });

  test.each(golden.cases.map((one) => [JSON.stringify(one.options), one] as const))(
    'equals PyTorch over 50 steps: %s',
    async (_options, one) => {
      await expectNoLeak(() => expectGolden(one));
    },
  );

  test('a run resumed from saved state equals an uninterrupted one', async () => {
    await expectNoLeak(async () => {
      const options: SGDOptions = { lr: 0.02, momentum: 0.9, weightDecay: 0.01, nesterov: true };
      const [whole, resumed] = [new Run(), new Run()];
      const first = new SGD(whole.parameters, options);
      whole.stepTo(50, first);

      const second = new SGD(resumed.parameters, options);
      resumed.stepTo(23, second);
      const saving = second.stateDict();
      const third = new SGD(resumed.parameters, { lr: 1 });
      third.loadStateDict(await saving);
      second.dispose();
      resumed.stepTo(50, third);

      expect(await resumed.values()).toEqual(await whole.values());
      for (const optimizer of [first, third]) optimizer.dispose();
      for (const run of [whole, resumed]) run.dispose();
    });
  });

  test('a snapshot is of the moment of the call and shares nothing with the optimizer', async () => {
    await expectNoLeak(async () => {
      const gradient = tf.tensor1d([1, 1]);
      const parameter = tf.variable(gradient);
      const optimizer = new SGD([parameter], { lr: 0.1, momentum: 0.5 });
      optimizer.step(new Map([[parameter, gradient]]));
      const saving = optimizer.stateDict();
      optimizer.step(new Map([[parameter, gradient]]));
      const saved = await saving;
      expect([...(saved.state[0]?.[BUFFER]?.values ?? [])]).toEqual([1, 1]);

      optimizer.loadStateDict(saved);
      saved.state[0]?.[BUFFER]?.values.fill(7);
      const again: StateDict = await optimizer.stateDict();
      expect([...(again.state[0]?.[BUFFER]?.values ?? [])]).toEqual([1, 1]);
      optimizer.dispose();
      tf.dispose([parameter, gradient]);
    });
  });
});
