/**
 * The schedules that are one formula each. Each follows the rate as it is, so that others may change it meanwhile, and has
 * the closed form that its PyTorch namesake has.
 */
import { LRScheduler, need, type Scheduled } from './lr-scheduler.ts';

/** lr · gamma every `stepSize` epochs. PyTorch: `StepLR`. */
export class StepLR extends LRScheduler {
  /** @param options stepSize: whole, ≥ 1; gamma: finite, default 0.1 */
  constructor(
    optimizer: Scheduled,
    options: { readonly stepSize: number; readonly gamma?: number },
  ) {
    const { stepSize, gamma = 0.1 } = options;
    needCount('stepSize', stepSize);
    needFinite('gamma', gamma);
    super(optimizer, {
      next: ({ epoch, lr }) => (epoch === 0 || epoch % stepSize !== 0 ? lr : lr * gamma),
      closed: (epoch, baseLr) => baseLr * gamma ** Math.floor(epoch / stepSize),
    });
  }
}

/** lr · gamma at each of `milestones`. PyTorch: `MultiStepLR`. */
export class MultiStepLR extends LRScheduler {
  /** @param options milestones: epochs, one twice counts twice; gamma: finite, default 0.1 */
  constructor(
    optimizer: Scheduled,
    options: { readonly milestones: readonly number[]; readonly gamma?: number },
  ) {
    const { milestones, gamma = 0.1 } = options;
    need(Array.isArray(milestones), 'milestones is no list');
    for (const milestone of milestones) needCount('a milestone', milestone, 0);
    needFinite('gamma', gamma);
    const count = (isMet: (milestone: number) => boolean): number =>
      milestones.filter(isMet).length;
    super(optimizer, {
      next: ({ epoch, lr }) => lr * gamma ** count((milestone) => milestone === epoch),
      closed: (epoch, baseLr) => baseLr * gamma ** count((milestone) => milestone <= epoch),
    });
  }
}

/** lr · factor until epoch `totalIters`. PyTorch: `ConstantLR`. */
export class ConstantLR extends LRScheduler {
  /** @param options factor: in (0, 1], default 1/3; totalIters: whole, ≥ 0, default 5 */
  constructor(
    optimizer: Scheduled,
    options: { readonly factor?: number; readonly totalIters?: number } = {},
  ) {
    const { factor = 1 / 3, totalIters = 5 } = options;
    needFactor('factor', factor);
    needCount('totalIters', totalIters, 0);
    super(optimizer, {
      next: ({ epoch, lr }) => {
        if (epoch === 0) return lr * factor;
        return epoch === totalIters ? lr * (1 / factor) : lr;
      },
      closed: (epoch, baseLr) => baseLr * (epoch >= totalIters ? 1 : factor),
    });
  }
}

/** From lr · startFactor to lr · endFactor in `totalIters` epochs, on a line: a warm-up. PyTorch: `LinearLR`. */
export class LinearLR extends LRScheduler {
  /** @param options startFactor: in (0, 1], default 1/3; endFactor: in [0, 1], default 1; totalIters: whole, ≥ 1, default 5 */
  constructor(
    optimizer: Scheduled,
    options: {
      readonly startFactor?: number;
      readonly endFactor?: number;
      readonly totalIters?: number;
    } = {},
  ) {
    const { startFactor, endFactor, totalIters } = {
      startFactor: 1 / 3,
      endFactor: 1,
      totalIters: 5,
      ...options,
    };
    needFactor('startFactor', startFactor);
    need(endFactor >= 0 && endFactor <= 1, `endFactor is ${endFactor}, not in [0, 1]`);
    needCount('totalIters', totalIters);
    const rise = endFactor - startFactor;
    super(optimizer, {
      next: ({ epoch, lr }) => {
        if (epoch === 0) return lr * startFactor;
        if (epoch > totalIters) return lr;
        return lr * (1 + rise / (totalIters * startFactor + (epoch - 1) * rise));
      },
      closed: (epoch, baseLr) =>
        baseLr * (startFactor + (rise * Math.min(totalIters, epoch)) / totalIters),
    });
  }
}

/** lr · gamma every epoch. PyTorch: `ExponentialLR`. */
export class ExponentialLR extends LRScheduler {
  /** @param options gamma: finite */
  constructor(optimizer: Scheduled, options: { readonly gamma: number }) {
    const { gamma } = options;
    needFinite('gamma', gamma);
    super(optimizer, {
      next: ({ epoch, lr }) => (epoch === 0 ? lr : lr * gamma),
      closed: (epoch, baseLr) => baseLr * gamma ** epoch,
    });
  }
}

/**
 * From lr down to `etaMin` in `tMax` epochs along half a cosine, then up again (Loshchilov & Hutter 2017, without restarts).
 * PyTorch: `CosineAnnealingLR`.
 */
export class CosineAnnealingLR extends LRScheduler {
  /** @param options tMax: whole, ≥ 1; etaMin: finite, default 0 */
  constructor(optimizer: Scheduled, options: { readonly tMax: number; readonly etaMin?: number }) {
    const { tMax, etaMin = 0 } = options;
    needCount('tMax', tMax);
    needFinite('etaMin', etaMin);
    const height = (epoch: number): number => 1 + Math.cos((Math.PI * epoch) / tMax);
    super(optimizer, {
      next: ({ epoch, lr, baseLr }) => {
        if (epoch === 0) return lr;
        // At the bottom the quotient below would be by zero.
        if ((epoch - 1 - tMax) % (2 * tMax) === 0) {
          return lr + ((baseLr - etaMin) * (1 - Math.cos(Math.PI / tMax))) / 2;
        }
        return (height(epoch) / height(epoch - 1)) * (lr - etaMin) + etaMin;
      },
      closed: (epoch, baseLr) => etaMin + ((baseLr - etaMin) * height(epoch)) / 2,
    });
  }
}

function needFinite(name: string, value: number): void {
  need(Number.isFinite(value), `${name} is ${value}, not a finite number`);
}

function needFactor(name: string, value: number): void {
  need(value > 0 && value <= 1, `${name} is ${value}, not in (0, 1]`);
}

function needCount(name: string, value: number, least = 1): void {
  const isCount = Number.isSafeInteger(value) && value >= least;
  need(isCount, `${name} is ${value}, not a whole number ≥ ${least}`);
}
