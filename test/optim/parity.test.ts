/** Every optimizer against PyTorch: 50 steps, dense and sparse, on both engines. */
import { beforeAll, describe, expect, test } from '@jest/globals';
import * as optim from '../../optim/index.ts';
import { type EngineName, startEngine } from '../../tensor/index.ts';
import {
  type GoldenCase,
  GoldenRun,
  golden,
  relativeDistance,
  titleOf,
} from '../support/golden-optim.ts';
import { expectNoLeak } from '../support/leaks.ts';

const cases = golden.cases.map((one) => [titleOf(one), one] as const);
/** The case of each optimizer with the most to remember: groups, else the last. */
const resumed = [
  ...new Map(cases.map((one) => [`${one[1].optimizer} ${one[1].kind}`, one])).values(),
];

function make({ optimizer, options, groups }: GoldenCase, run: GoldenRun): optim.Optimizer {
  const Class = optim.optimizerNamed(optimizer);
  if (groups === undefined) return new Class(run.parameters, options);
  const [first, second] = groups;
  const given: unknown = [
    { params: run.parameters.slice(0, 2), ...first },
    { params: run.parameters.slice(2), ...second },
  ];
  return new Class(given as typeof run.parameters, options);
}

/** The largest relative difference of any parameter after any kept step, and of any state tensor at the end. */
async function distance(one: GoldenCase): Promise<number> {
  const run = new GoldenRun(one.kind);
  const optimizer = make(one, run);
  const distances: number[] = [];
  for (const [step, expected] of Object.entries(one.at)) {
    run.stepTo(Number(step), optimizer);
    distances.push(relativeDistance(await run.values(), expected));
  }
  const { state } = await optimizer.stateDict();
  for (const name of new Set(one.state.flatMap((named) => Object.keys(named)))) {
    const actual = state.map(({ tensors }) => [...(tensors[name]?.values ?? [])]);
    distances.push(
      relativeDistance(
        actual,
        one.state.map((named) => named[name] ?? []),
      ),
    );
  }
  const namesOf = (named: object): string[] => Object.keys(named).sort();
  expect(state.map(({ tensors }) => namesOf(tensors))).toEqual(one.state.map(namesOf));
  optimizer.dispose();
  run.dispose();
  return Math.max(...distances);
}

describe.each<EngineName>(['cpu', 'wasm'])('on engine %s', (engine) => {
  beforeAll(async () => {
    await startEngine(engine);
  });

  test.each(cases)('equals PyTorch over 50 steps: %s', async (_, one) => {
    await expectNoLeak(async () => {
      expect(await distance(one)).toBeLessThanOrEqual(1e-6);
    });
  });

  test.each(resumed)(
    'a run resumed from saved state equals an uninterrupted one: %s',
    async (_, one) => {
      await expectNoLeak(async () => {
        const [whole, later] = [new GoldenRun(one.kind), new GoldenRun(one.kind)];
        const first = make(one, whole);
        whole.stepTo(12, first);

        const second = make(one, later);
        later.stepTo(5, second);
        const saving = second.stateDict();
        const third = make({ ...one, options: { lr: 1 } }, later);
        third.loadStateDict(await saving);
        second.dispose();
        later.stepTo(12, third);

        expect(await later.values()).toEqual(await whole.values());
        expect(await third.stateDict()).toEqual(await first.stateDict());
        for (const optimizer of [first, third]) optimizer.dispose();
        for (const run of [whole, later]) run.dispose();
      });
    },
  );
});
