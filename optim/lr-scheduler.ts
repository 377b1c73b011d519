/**
 * Schedules of learning rates: a schedule is a pure function of the epoch, the scheduler applies it to the groups of whatever
 * has groups. Knows nothing of parameters or gradients. Names and semantics: `torch.optim.lr_scheduler` of PyTorch 1.13.
 */
import { GradwireError } from '../errors.ts';

/** What a schedule may write of a parameter group. */
export interface ScheduledGroup {
  lr: number;
  /** The rate that schedules start from; the first of them sets it. PyTorch: `initial_lr`. */
  initialLr?: number;
  momentum?: number;
  betas?: readonly [number, number];
}

/** What a schedule drives: every optimizer of this package, or anything else with groups. */
export interface Scheduled {
  readonly paramGroups: readonly ScheduledGroup[];
}

/** Where a group stands when its next rate is asked for. */
export interface Moment {
  /** 0 when the schedule is made, 1 after its first step. */
  readonly epoch: number;
  /** The rate as it is, which others may have written. */
  readonly lr: number;
  /** The rate that the schedule started from. */
  readonly baseLr: number;
  /** Position of the group. */
  readonly group: number;
}

/** A schedule, pure. */
export interface Schedule {
  /** The rate of this epoch from that of the epoch before, so that schedules can be chained. */
  next(moment: Moment): number;
  /** The same from the epoch alone, for a schedule that begins anew. Default: `next`. */
  closed?(epoch: number, baseLr: number): number;
  /** Momentum, or the first beta, of this epoch. */
  momentum?(moment: Moment): number;
}

/** Where a schedule stands, as plain data. The options are those of the constructor, not part of it. */
export interface SchedulerState {
  readonly lastEpoch: number;
  readonly baseLrs: readonly number[];
  readonly lastLr: readonly number[];
}

/** Applies a schedule to all groups. To add a schedule of your own, extend it. PyTorch: `_LRScheduler`. */
export class LRScheduler {
  readonly #optimizer: Scheduled;
  readonly #schedule: Schedule;
  #lastEpoch = -1;
  #baseLrs: readonly number[];
  #lastLr: readonly number[] = [];

  /** Sets the rates of epoch 0 at once. @throws GradwireError `invalid_argument` if there are no groups */
  constructor(optimizer: Scheduled, schedule: Schedule) {
    checkScheduled(optimizer);
    this.#optimizer = optimizer;
    this.#schedule = schedule;
    for (const group of optimizer.paramGroups) group.initialLr ??= group.lr;
    this.#baseLrs = optimizer.paramGroups.map(({ lr, initialLr }) => initialLr ?? lr);
    this.step();
  }

  get optimizer(): Scheduled {
    return this.#optimizer;
  }

  /** The next epoch; to be called after the optimizer's steps of this one. */
  step(): void {
    this.#lastEpoch += 1;
    this.#apply((moment) => this.#schedule.next(moment));
  }

  /** The rates that the last step set, by group. PyTorch: `get_last_lr`. */
  getLastLr(): number[] {
    return [...this.#lastLr];
  }

  /** Takes the last step back without changing a rate: for schedules made of schedules. */
  rewind(): void {
    this.#lastEpoch -= 1;
  }

  /** Begins at epoch 0 from the base rates: for schedules made of schedules. PyTorch: `step(0)`. */
  restart(): void {
    this.#lastEpoch = 0;
    const { closed } = this.#schedule;
    this.#apply((moment) =>
      closed === undefined ? this.#schedule.next(moment) : closed(0, moment.baseLr),
    );
  }

  stateDict(): SchedulerState {
    const [baseLrs, lastLr] = [[...this.#baseLrs], [...this.#lastLr]];
    return { lastEpoch: this.#lastEpoch, baseLrs, lastLr };
  }

  /**
   * Goes on where `saved` was; the rates themselves are part of the optimizer's state.
   *
   * @throws GradwireError `invalid_argument` if it is not a state; nothing has changed then
   */
  loadStateDict(saved: SchedulerState): void {
    const { lastEpoch, baseLrs, lastLr } = (saved ?? {}) as Partial<SchedulerState>;
    if (!Number.isSafeInteger(lastEpoch) || !isRates(baseLrs) || !isRates(lastLr)) {
      throw invalid('this is no state of a schedule');
    }
    this.#lastEpoch = lastEpoch as number;
    this.#baseLrs = [...baseLrs];
    this.#lastLr = [...lastLr];
  }

  #apply(rate: (moment: Moment) => number): void {
    const { paramGroups } = this.#optimizer;
    const next = this.#baseLrs.map((baseLr, index) => {
      const group = paramGroups[index];
      if (group === undefined) throw invalid(`the optimizer has no group ${index} any more`);
      const moment = { epoch: this.#lastEpoch, lr: group.lr, baseLr, group: index };
      return { group, lr: rate(moment), momentum: this.#schedule.momentum?.(moment) };
    });
    for (const { group, lr, momentum } of next) {
      group.lr = lr;
      if (momentum !== undefined) setMomentum(group, momentum);
    }
    this.#lastLr = paramGroups.map(({ lr }) => lr);
  }
}

/** @throws GradwireError `invalid_argument` */
export function checkScheduled(optimizer: Scheduled): void {
  const groups: unknown = optimizer?.paramGroups;
  if (Array.isArray(groups) && groups.length > 0) return;
  throw invalid('a schedule drives something with parameter groups');
}

/** Momentum of a group, the first beta of those that have betas; undefined if it has neither. */
export function momentumOf({ momentum, betas }: ScheduledGroup): number | undefined {
  return betas?.[0] ?? momentum;
}

export function setMomentum(group: ScheduledGroup, momentum: number): void {
  if (group.betas !== undefined) group.betas = [momentum, group.betas[1]];
  else group.momentum = momentum;
}

export function isRates(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((rate) => Number.isFinite(rate));
}

/** Whether all is as it must be; the message says what is not. @throws GradwireError `invalid_argument` */
export function need(isRight: boolean, message: string): void {
  if (!isRight) throw invalid(message);
}

function invalid(message: string): GradwireError {
  return new GradwireError('invalid_argument', message);
}
