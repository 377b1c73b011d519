/** Schedules against PyTorch over 100 epochs, resumed from saved state, and what they refuse. */
import { expect, test } from '@jest/globals';
import * as optim from '../../optim/index.ts';
import { type GoldenSchedule, goldenSchedules } from '../support/golden-schedules.ts';

const { ChainedScheduler, LRScheduler, OneCycleLR, ReduceLROnPlateau, SequentialLR } = optim;

type Made =
  | optim.LRScheduler
  | optim.SequentialLR
  | optim.ChainedScheduler
  | optim.ReduceLROnPlateau;
type Groups = [optim.ScheduledGroup, optim.ScheduledGroup];

/** Two groups as in the golden file; a schedule needs no more of an optimizer. */
function groupsOf(isAdam = false): Groups {
  const rest = isAdam ? { betas: [0.9, 0.999] as const } : { momentum: 0.9 };
  return [
    { lr: 0.1, ...rest },
    { lr: 0.01, ...rest },
  ];
}

type Maker = new (driven: optim.Scheduled, options: object) => optim.LRScheduler;

function make(one: GoldenSchedule, paramGroups: Groups): Made {
  const driven = { paramGroups };
  const byName = optim as unknown as Readonly<Record<string, Maker>>;
  const single = (name: string, options: object): optim.LRScheduler => {
    const Class = byName[name];
    if (Class === undefined) throw new Error(`no schedule ${name}`);
    return new Class(driven, options);
  };
  const parts = one.parts.map(({ schedule, options }) => single(schedule, options));
  if (one.schedule === 'ChainedScheduler') return new ChainedScheduler(parts);
  if (one.schedule === 'SequentialLR') {
    return new SequentialLR(driven, parts, one.options['milestones'] as number[]);
  }
  return single(one.schedule, one.options);
}

/** The step of that epoch, counted from 0. */
function step(one: GoldenSchedule, made: Made, groups: Groups, epoch: number): void {
  if (one.isHalved && epoch === 20) groups[0].lr /= 2;
  if (made instanceof ReduceLROnPlateau) made.step(goldenSchedules.metrics[epoch] ?? Number.NaN);
  else made.step();
}

function expectClose(actual: readonly number[], expected: readonly number[]): void {
  expect(actual.length).toBe(expected.length);
  for (const [i, value] of expected.entries()) {
    const distance = Math.abs((actual[i] ?? Number.NaN) - value);
    expect(distance).toBeLessThanOrEqual(1e-12 * Math.abs(value) + 1e-16);
  }
}

const cases = goldenSchedules.schedules.map((one) => {
  const parts = one.parts.map(({ schedule, options }) => schedule + JSON.stringify(options));
  const more = [one.isHalved ? 'halved' : '', one.isAdam ? 'Adam' : '', ...parts];
  return [`${one.schedule} ${JSON.stringify(one.options)} ${more.join(' ')}`.trim(), one] as const;
});

test.each(cases)('equals PyTorch over 100 epochs: %s', (_, one) => {
  const groups = groupsOf(one.isAdam);
  const made = make(one, groups);
  one.lrs.forEach((expected, epoch) => {
    if (epoch > 0) step(one, made, groups, epoch - 1);
    expectClose(
      groups.map(({ lr }) => lr),
      expected,
    );
    if (epoch > 0) expect(made.getLastLr()).toEqual(groups.map(({ lr }) => lr));
    const momenta = one.momenta?.[epoch];
    if (momenta !== undefined) {
      expectClose(
        groups.map(({ momentum, betas }) => betas?.[0] ?? momentum ?? Number.NaN),
        momenta,
      );
    }
  });
});

test.each(cases)('goes on from saved state: %s', (_, one) => {
  const groups = groupsOf(one.isAdam);
  const first = make(one, groups);
  for (let epoch = 0; epoch < 33; epoch++) step(one, first, groups, epoch);
  const saved = JSON.parse(JSON.stringify(first.stateDict()));
  const others = groupsOf(one.isAdam);
  const second = make(one, others);
  second.loadStateDict(saved);
  // Rates and momenta are part of the optimizer's state.
  groups.forEach((group, i) => {
    Object.assign(others[i] ?? {}, group);
  });
  for (let epoch = 33; epoch < 100; epoch++) step(one, second, others, epoch);
  expectClose(
    others.map(({ lr }) => lr),
    one.lrs[100] ?? [],
  );
  expect(second.getLastLr()).toEqual(others.map(({ lr }) => lr));
});

const invalid: unknown = expect.objectContaining({ code: 'invalid_argument' });

test.each<[string, object]>([
  ['StepLR', {}],
  ['StepLR', { stepSize: 0 }],
  ['StepLR', { stepSize: 1.5 }],
  ['StepLR', { stepSize: 3, gamma: Number.NaN }],
  ['MultiStepLR', {}],
  ['MultiStepLR', { milestones: [-1] }],
  ['ConstantLR', { factor: 0 }],
  ['ConstantLR', { factor: 1.5 }],
  ['ConstantLR', { totalIters: -1 }],
  ['LinearLR', { startFactor: 0 }],
  ['LinearLR', { endFactor: 2 }],
  ['LinearLR', { totalIters: 0 }],
  ['ExponentialLR', {}],
  ['CosineAnnealingLR', { tMax: 0 }],
  ['CosineAnnealingLR', { tMax: 3, etaMin: '0' }],
  ['OneCycleLR', { maxLr: 1 }],
  ['OneCycleLR', { maxLr: 1, epochs: 3 }],
  ['OneCycleLR', { maxLr: 1, totalSteps: 0 }],
  ['OneCycleLR', { maxLr: [1], totalSteps: 9 }],
  ['OneCycleLR', { maxLr: -1, totalSteps: 9 }],
  ['OneCycleLR', { totalSteps: 9 }],
  ['OneCycleLR', { maxLr: 1, totalSteps: 9, pctStart: 2 }],
  ['OneCycleLR', { maxLr: 1, totalSteps: 9, annealStrategy: 'sine' }],
  ['OneCycleLR', { maxLr: 1, totalSteps: 9, divFactor: 0 }],
  ['ReduceLROnPlateau', { mode: 'best' }],
  ['ReduceLROnPlateau', { factor: 1 }],
  ['ReduceLROnPlateau', { patience: -1 }],
  ['ReduceLROnPlateau', { thresholdMode: 'none' }],
  ['ReduceLROnPlateau', { minLr: [0] }],
])('%s refuses %j, and no rate has changed', (schedule, options) => {
  const groups = groupsOf();
  const one = { schedule, options, parts: [], isAdam: false, isHalved: false, lrs: [] };
  expect(() => make(one as GoldenSchedule, groups)).toThrow(invalid);
  expect(groups.map(({ lr }) => lr)).toEqual([0.1, 0.01]);
});

test('a schedule needs groups, one cycle needs momentum, and an end', () => {
  for (const driven of [undefined, {}, { paramGroups: [] }]) {
    const given = driven as unknown as optim.Scheduled;
    expect(() => new LRScheduler(given, { next: ({ lr }) => lr })).toThrow(invalid);
    expect(() => new ReduceLROnPlateau(given)).toThrow(invalid);
    expect(() => new OneCycleLR(given, { maxLr: 1, totalSteps: 3 })).toThrow(invalid);
  }
  const bare = { paramGroups: [{ lr: 1 }] };
  expect(() => new OneCycleLR(bare, { maxLr: 1, totalSteps: 3 })).toThrow(/cycleMomentum: false/);
  const cycle = new OneCycleLR(bare, { maxLr: 1, totalSteps: 3, cycleMomentum: false });
  for (let i = 0; i < 3; i++) cycle.step();
  expect(() => cycle.step()).toThrow(/cycle of 3 steps/);
});

test('combined schedules are of one optimizer, with a milestone between each two', () => {
  const [one, other] = [{ paramGroups: groupsOf() }, { paramGroups: groupsOf() }];
  const parts = [one, one, other].map((driven) => new optim.StepLR(driven, { stepSize: 3 }));
  expect(() => new ChainedScheduler([])).toThrow(invalid);
  expect(() => new ChainedScheduler(parts)).toThrow(invalid);
  const [a, b] = parts as [optim.LRScheduler, optim.LRScheduler];
  for (const milestones of [[], [3, 4], [0], [1.5]]) {
    expect(() => new SequentialLR(one, [a, b], milestones)).toThrow(invalid);
  }
  expect(() => new SequentialLR(other, [a, b], [3])).toThrow(invalid);
});

test('what is no state is refused', () => {
  const driven = { paramGroups: groupsOf() };
  const step = new optim.StepLR(driven, { stepSize: 3 });
  const plateau = new ReduceLROnPlateau(driven);
  const chained = new ChainedScheduler([step]);
  const good = { step: step.stateDict(), plateau: plateau.stateDict() };
  const bad: unknown[] = [
    undefined,
    {},
    { ...good.step, lastEpoch: 'x' },
    { ...good.step, lastLr: 1 },
  ];
  for (const state of bad) {
    expect(() => step.loadStateDict(state as optim.SchedulerState)).toThrow(invalid);
    expect(() => chained.loadStateDict(state as optim.CombinedState)).toThrow(invalid);
    expect(() => plateau.loadStateDict(state as optim.PlateauState)).toThrow(invalid);
  }
  expect(step.stateDict()).toEqual(good.step);
  expect(plateau.stateDict()).toEqual(good.plateau);
});

test('a schedule drives an optimizer: what it writes is what the next step uses', () => {
  const optimizer = { paramGroups: groupsOf() };
  const mine = new LRScheduler(optimizer, { next: ({ epoch, baseLr }) => baseLr / (1 + epoch) });
  mine.step();
  expect(optimizer.paramGroups.map(({ lr }) => lr)).toEqual([0.05, 0.005]);
  optimizer.paramGroups.pop();
  expect(() => mine.step()).toThrow(invalid);
});
