/** Lowers the learning rate when a measured value no longer gets better. PyTorch: `ReduceLROnPlateau`. */
import { checkScheduled, isRates, need, type Scheduled } from './lr-scheduler.ts';

export interface PlateauOptions {
  /** Whether a lower or a higher value is better. Default 'min'. */
  readonly mode?: 'min' | 'max';
  /** The new rate is lr · factor; in (0, 1). Default 0.1. */
  readonly factor?: number;
  /** Epochs without improvement that are waited for. Default 10. */
  readonly patience?: number;
  /** What counts as better: by this share ('rel') or this much ('abs'). Default 1e-4. */
  readonly threshold?: number;
  /** Default 'rel'. */
  readonly thresholdMode?: 'rel' | 'abs';
  /** Epochs after a reduction that do not count. Default 0. */
  readonly cooldown?: number;
  /** No rate falls below, for all groups or for each. Default 0. */
  readonly minLr?: number | readonly number[];
  /** Smaller changes of a rate are left out. Default 1e-8. */
  readonly eps?: number;
}

/** Where it stands, as plain data; the options are those of the constructor. */
export interface PlateauState {
  readonly lastEpoch: number;
  /** The best value so far, null before the first. */
  readonly best: number | null;
  readonly numBadEpochs: number;
  readonly cooldownCounter: number;
  readonly lastLr: readonly number[];
}

const DEFAULTS = {
  mode: 'min',
  factor: 0.1,
  patience: 10,
  threshold: 1e-4,
  thresholdMode: 'rel',
  cooldown: 0,
  minLr: 0,
  eps: 1e-8,
} as const;

export class ReduceLROnPlateau {
  readonly #optimizer: Scheduled;
  readonly #options: Required<PlateauOptions>;
  readonly #minLrs: readonly number[];
  #state: PlateauState;

  /** @throws GradwireError `invalid_argument` */
  constructor(optimizer: Scheduled, options: PlateauOptions = {}) {
    checkScheduled(optimizer);
    const all = { ...DEFAULTS, ...options };
    need(all.factor > 0 && all.factor < 1, `factor is ${all.factor}, not in (0, 1)`);
    need(all.mode === 'min' || all.mode === 'max', `mode is '${all.mode}', not 'min' or 'max'`);
    const isKnown = all.thresholdMode === 'rel' || all.thresholdMode === 'abs';
    need(isKnown, `thresholdMode is '${all.thresholdMode}', not 'rel' or 'abs'`);
    const counts = [all.patience, all.cooldown].every((n) => Number.isSafeInteger(n) && n >= 0);
    need(counts, 'patience and cooldown are not whole numbers ≥ 0');
    const { length } = optimizer.paramGroups;
    const minLrs: readonly number[] =
      typeof all.minLr === 'number' ? new Array<number>(length).fill(all.minLr) : all.minLr;
    need(isRates(minLrs) && minLrs.length === length, `minLr is not of ${length} groups`);
    this.#optimizer = optimizer;
    this.#options = all;
    this.#minLrs = minLrs;
    const lastLr = this.#rates();
    this.#state = { lastEpoch: 0, best: null, numBadEpochs: 0, cooldownCounter: 0, lastLr };
  }

  /** Takes note of the value of this epoch, and lowers the rates if it is time. NaN is never better. */
  step(metric: number): void {
    const { patience, cooldown } = this.#options;
    const { lastEpoch, best, numBadEpochs, cooldownCounter } = this.#state;
    const isBetter = this.#isBetter(metric, best);
    const isCooling = cooldownCounter > 0;
    const bad = isBetter || isCooling ? 0 : numBadEpochs + 1;
    const isTime = bad > patience;
    if (isTime) this.#reduce();
    this.#state = {
      lastEpoch: lastEpoch + 1,
      best: isBetter ? metric : best,
      numBadEpochs: isTime ? 0 : bad,
      cooldownCounter: isTime ? cooldown : Math.max(0, cooldownCounter - 1),
      lastLr: this.#rates(),
    };
  }

  /** The rates after the last step, by group. */
  getLastLr(): number[] {
    return [...this.#state.lastLr];
  }

  stateDict(): PlateauState {
    return { ...this.#state, lastLr: this.getLastLr() };
  }

  /** @throws GradwireError `invalid_argument` if it is not a state; nothing has changed then */
  loadStateDict(saved: PlateauState): void {
    const { lastEpoch, best, numBadEpochs, cooldownCounter, lastLr } = saved ?? {};
    const counts = [lastEpoch, numBadEpochs, cooldownCounter].every((n) => Number.isSafeInteger(n));
    const isRight = counts && isRates(lastLr) && (best === null || typeof best === 'number');
    need(isRight, 'this is no state of ReduceLROnPlateau');
    this.#state = { lastEpoch, best, numBadEpochs, cooldownCounter, lastLr: [...lastLr] };
  }

  #rates(): number[] {
    return this.#optimizer.paramGroups.map(({ lr }) => lr);
  }

  #reduce(): void {
    const { factor, eps } = this.#options;
    this.#optimizer.paramGroups.forEach((group, index) => {
      const lr = Math.max(group.lr * factor, this.#minLrs[index] ?? 0);
      if (group.lr - lr > eps) group.lr = lr;
    });
  }

  #isBetter(metric: number, known: number | null): boolean {
    const { mode, threshold, thresholdMode } = this.#options;
    const best = known ?? (mode === 'min' ? Infinity : -Infinity);
    if (mode === 'min') {
      return metric < (thresholdMode === 'rel' ? best * (1 - threshold) : best - threshold);
    }
    return metric > (thresholdMode === 'rel' ? best * (1 + threshold) : best + threshold);
  }
}
