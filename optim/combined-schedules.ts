/** Schedules made of schedules: one after the other, or all at once. They know of their parts only what schedulers have. */
import { LRScheduler, need, type Scheduled, type SchedulerState } from './lr-scheduler.ts';

/** Where a schedule of schedules stands. */
export interface CombinedState {
  readonly lastEpoch: number;
  readonly lastLr: readonly number[];
  readonly schedules: readonly SchedulerState[];
}

/**
 * Each schedule until its milestone, then the next from its beginning: a warm-up and what comes after it. Sets the rates back
 * to their initial values, and to the first schedule's beginning, at once. PyTorch: `SequentialLR`.
 */
export class SequentialLR {
  readonly #schedules: readonly LRScheduler[];
  readonly #milestones: readonly number[];
  #lastEpoch = 0;
  #lastLr: readonly number[];

  /**
   * @param schedules all of this optimizer, fresh
   * @param milestones epochs at which the second and each later schedule begins, rising, one fewer than schedules
   * @throws GradwireError `invalid_argument`
   */
  constructor(
    optimizer: Scheduled,
    schedules: readonly LRScheduler[],
    milestones: readonly number[],
  ) {
    const first = checkParts(schedules, optimizer);
    need(
      Array.isArray(milestones) && milestones.length === schedules.length - 1,
      `${schedules.length} schedules need ${schedules.length - 1} milestones`,
    );
    need(
      milestones.every((m, i) => Number.isSafeInteger(m) && m > (milestones[i - 1] ?? 0)),
      'the milestones are not whole, positive and rising',
    );
    this.#schedules = [...schedules];
    this.#milestones = [...milestones];
    for (const group of optimizer.paramGroups) group.lr = group.initialLr ?? group.lr;
    for (const schedule of schedules) schedule.rewind();
    first.step();
    this.#lastLr = first.getLastLr();
  }

  step(): void {
    this.#lastEpoch += 1;
    const begun = this.#milestones.filter((milestone) => milestone <= this.#lastEpoch).length;
    const schedule = this.#schedules[begun] as LRScheduler;
    if (begun > 0 && this.#milestones[begun - 1] === this.#lastEpoch) schedule.restart();
    else schedule.step();
    this.#lastLr = schedule.getLastLr();
  }

  /** The rates that the last step set, by group. PyTorch: `get_last_lr`. */
  getLastLr(): number[] {
    return [...this.#lastLr];
  }

  stateDict(): CombinedState {
    const schedules = this.#schedules.map((schedule) => schedule.stateDict());
    return { lastEpoch: this.#lastEpoch, lastLr: [...this.#lastLr], schedules };
  }

  /** @throws GradwireError `invalid_argument` if it is not a state of as many schedules */
  loadStateDict(saved: CombinedState): void {
    const { lastEpoch, lastLr } = loadParts(this.#schedules, saved);
    this.#lastEpoch = lastEpoch;
    this.#lastLr = [...lastLr];
  }
}

/** All schedules in each step, one on top of the other. PyTorch: `ChainedScheduler`. */
export class ChainedScheduler {
  readonly #schedules: readonly LRScheduler[];
  #lastEpoch = 0;

  /** @param schedules of one optimizer, at least one @throws GradwireError `invalid_argument` */
  constructor(schedules: readonly LRScheduler[]) {
    checkParts(schedules, schedules?.[0]?.optimizer);
    this.#schedules = [...schedules];
  }

  step(): void {
    this.#lastEpoch += 1;
    for (const schedule of this.#schedules) schedule.step();
  }

  /** The rates that the last step set, by group. PyTorch: `get_last_lr`. */
  getLastLr(): number[] {
    return this.#schedules.at(-1)?.getLastLr() ?? [];
  }

  stateDict(): CombinedState {
    const schedules = this.#schedules.map((schedule) => schedule.stateDict());
    return { lastEpoch: this.#lastEpoch, lastLr: this.getLastLr(), schedules };
  }

  /** @throws GradwireError `invalid_argument` if it is not a state of as many schedules */
  loadStateDict(saved: CombinedState): void {
    this.#lastEpoch = loadParts(this.#schedules, saved).lastEpoch;
  }
}

function checkParts(
  schedules: readonly LRScheduler[],
  optimizer: Scheduled | undefined,
): LRScheduler {
  const isList = Array.isArray(schedules) && schedules.length > 0;
  need(isList && schedules.every((one) => one instanceof LRScheduler), 'no list of schedules');
  const isSame = schedules.every((one) => one.optimizer === optimizer);
  need(isSame, 'the schedules are of different optimizers');
  return schedules[0] as LRScheduler;
}

function loadParts(schedules: readonly LRScheduler[], saved: CombinedState): CombinedState {
  const parts: unknown = saved?.schedules;
  const isRight = Array.isArray(parts) && parts.length === schedules.length;
  need(isRight && Array.isArray(saved.lastLr), `the state is not of ${schedules.length} schedules`);
  need(Number.isSafeInteger(saved.lastEpoch), 'the state has no lastEpoch');
  schedules.forEach((schedule, i) => {
    schedule.loadStateDict(saved.schedules[i] as SchedulerState);
  });
  return saved;
}
