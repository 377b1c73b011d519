/**
 * The 1cycle policy (Smith & Topin 2018): up to the largest rate, and down to next to nothing, with the momentum the other
 * way round. PyTorch: `OneCycleLR`.
 */
import {
  checkScheduled,
  LRScheduler,
  momentumOf,
  need,
  type Scheduled,
  setMomentum,
} from './lr-scheduler.ts';

/** Numbers for all groups, or one for each. */
type PerGroup = number | readonly number[];

export interface OneCycleOptions {
  /** The rate at the top, finite, ≥ 0. */
  readonly maxLr: PerGroup;
  /** Steps of the whole cycle, ≥ 1. Needed unless `epochs` and `stepsPerEpoch` are given. */
  readonly totalSteps?: number;
  readonly epochs?: number;
  readonly stepsPerEpoch?: number;
  /** Share of the steps that go up, in [0, 1]. Default 0.3. */
  readonly pctStart?: number;
  /** Form of the slopes. Default 'cos'. */
  readonly annealStrategy?: 'cos' | 'linear';
  /** Whether the momentum (Adam: the first beta) goes along. Default true. */
  readonly cycleMomentum?: boolean;
  /** Momentum at the top. Default 0.85. */
  readonly baseMomentum?: PerGroup;
  /** Momentum at the ends. Default 0.95. */
  readonly maxMomentum?: PerGroup;
  /** maxLr / divFactor is the first rate. Default 25. */
  readonly divFactor?: number;
  /** The first rate / finalDivFactor is the last one. Default 10,000. */
  readonly finalDivFactor?: number;
  /** Down to the first rate as fast as up, then on to the last one. Default false. */
  readonly threePhase?: boolean;
}

/** Value of a group at the ends of a phase. */
interface Phase {
  readonly end: number;
  readonly lr: readonly [Level, Level];
  readonly momentum: readonly ['high' | 'low', 'high' | 'low'];
}

type Level = 'first' | 'top' | 'last';

/**
 * One cycle over all steps of a training: `step` is called after each batch. Sets the first rates, and `initialLr`, at once.
 *
 * `step` throws GradwireError `invalid_argument` beyond `totalSteps`.
 */
export class OneCycleLR extends LRScheduler {
  /** @throws GradwireError `invalid_argument`, also where the momentum shall go along and a group has none */
  constructor(optimizer: Scheduled, options: OneCycleOptions) {
    checkScheduled(optimizer);
    const { pctStart = 0.3, annealStrategy = 'cos', cycleMomentum = true } = options;
    const { divFactor = 25, finalDivFactor = 1e4, threePhase = false } = options;
    const totalSteps = stepsOf(options);
    need(pctStart >= 0 && pctStart <= 1, `pctStart is ${pctStart}, not in [0, 1]`);
    need(annealStrategy in ANNEAL, `annealStrategy is '${annealStrategy}', not 'cos' or 'linear'`);
    need(divFactor > 0 && finalDivFactor > 0, 'divFactor and finalDivFactor are not > 0');
    const anneal = ANNEAL[annealStrategy];
    const groups = optimizer.paramGroups;
    const tops = spread('maxLr', options.maxLr, groups.length);
    const highs = spread('maxMomentum', options.maxMomentum ?? 0.95, groups.length);
    const lows = spread('baseMomentum', options.baseMomentum ?? 0.85, groups.length);
    groups.forEach((group, i) => {
      group.initialLr = (tops[i] ?? 0) / divFactor;
      if (!cycleMomentum) return;
      need(momentumOf(group) !== undefined, `group ${i} has no momentum: set cycleMomentum: false`);
      setMomentum(group, highs[i] ?? 0);
    });
    const levels = tops.map((top) => {
      const first = top / divFactor;
      return { first, top, last: first / finalDivFactor };
    });
    const phases = phasesOf(totalSteps, pctStart, threePhase);
    const at = (epoch: number): { phase: Phase; share: number } => {
      need(epoch <= totalSteps, `step ${epoch + 1} of a cycle of ${totalSteps} steps`);
      const found = phases.findIndex(({ end }) => epoch <= end);
      const index = found < 0 ? phases.length - 1 : found;
      const phase = phases[index] as Phase;
      const start = phases[index - 1]?.end ?? 0;
      return { phase, share: (epoch - start) / (phase.end - start) };
    };
    super(optimizer, {
      next: ({ epoch, group }) => {
        const { phase, share } = at(epoch);
        const [from, to] = phase.lr.map((level) => levels[group]?.[level] ?? 0);
        return anneal(from ?? 0, to ?? 0, share);
      },
      ...(cycleMomentum
        ? {
            momentum: ({ epoch, group }): number => {
              const { phase, share } = at(epoch);
              const [from, to] = phase.momentum.map(
                (end) => (end === 'high' ? highs : lows)[group],
              );
              return anneal(from ?? 0, to ?? 0, share);
            },
          }
        : {}),
    });
  }
}

const ANNEAL: Readonly<
  Record<'cos' | 'linear', (from: number, to: number, share: number) => number>
> = {
  cos: (from, to, share) => to + ((from - to) / 2) * (Math.cos(Math.PI * share) + 1),
  linear: (from, to, share) => (to - from) * share + from,
};

function phasesOf(total: number, pctStart: number, isThreePhase: boolean): readonly Phase[] {
  const up: Phase = {
    end: pctStart * total - 1,
    lr: ['first', 'top'],
    momentum: ['high', 'low'],
  };
  if (!isThreePhase)
    return [up, { end: total - 1, lr: ['top', 'last'], momentum: ['low', 'high'] }];
  return [
    up,
    { end: 2 * pctStart * total - 2, lr: ['top', 'first'], momentum: ['low', 'high'] },
    { end: total - 1, lr: ['first', 'last'], momentum: ['high', 'high'] },
  ];
}

function stepsOf({ totalSteps, epochs, stepsPerEpoch }: OneCycleOptions): number {
  const steps = totalSteps ?? (epochs ?? Number.NaN) * (stepsPerEpoch ?? Number.NaN);
  const isCount = Number.isSafeInteger(steps) && steps >= 1;
  need(isCount, 'OneCycleLR needs totalSteps, or epochs and stepsPerEpoch, whole and ≥ 1');
  return steps;
}

function spread(name: string, given: PerGroup, count: number): readonly number[] {
  const all = typeof given === 'number' ? new Array<number>(count).fill(given) : given;
  const isRight =
    Array.isArray(all) && all.length === count && all.every((x) => x >= 0 && x < Infinity);
  need(isRight, `${name} is not a number ≥ 0, or one for each of ${count} groups`);
  return all;
}
