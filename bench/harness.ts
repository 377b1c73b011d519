/**
 * How everything here is measured: in rounds that take turns, so that the noise of a shared machine meets all alike, and
 * summed up by medians. Pure but for the clock; knows nothing of what is measured.
 */
import type { Peer } from './peer.ts';

/** Under which conditions a figure was measured; units are in the names. */
export type Conditions = Readonly<Record<string, number | string | readonly number[]>>;

/** One measured figure. */
export interface Figure {
  readonly name: `${string}.${string}`;
  /** Of `value` and `peer`. */
  readonly unit: string;
  /** Our median. */
  readonly value: number;
  /** The median of what it is held against; null where there is none or it failed (`conditions.peerFailure`). */
  readonly peer: number | null;
  /** Median of the rounds' quotients, above 1 where we are better; null without a peer. */
  readonly ratio: number | null;
  readonly conditions: Conditions;
  /** What is to be reached, if anything. */
  readonly target?: Target;
}

/** A bound of our median or of the ratio. */
export type Target = { readonly of: 'value' | 'ratio' } & (
  | { readonly least: number }
  | { readonly most: number }
);

/** What a suite is told, and where it speaks while it runs. */
export interface SuiteOptions {
  /** Rounds that count, after the warm-up. */
  readonly rounds: number;
  /** Says something about the run, in one line. */
  readonly note: (line: string) => void;
  /** PyTorch, where there is one. */
  readonly peer: Peer | undefined;
  /** Folder with MNIST's four files; without it digits are generated. */
  readonly data: string | undefined;
}

/** Measures some figures. */
export type Suite = (options: SuiteOptions) => Promise<readonly Figure[]>;

/** Samples by figure. */
export type Samples<K extends string> = Readonly<Record<K, readonly number[]>>;

/**
 * Calls `round` `warmUp + rounds` times and collects what it gives each time, by figure; the first `warmUp` are dropped.
 * `round` measures each of its figures once, in turns, and gets the number of the round, below 0 while it warms up. What
 * it does not give is left out.
 */
export async function inRounds<K extends string>(
  { warmUp, rounds }: { readonly warmUp: number; readonly rounds: number },
  round: (index: number) => Promise<Readonly<Record<K, number | undefined>>>,
): Promise<Samples<K>> {
  const samples: Record<string, number[]> = {};
  for (let index = -warmUp; index < rounds; index++) {
    const measured: Record<string, number | undefined> = await round(index);
    for (const [figure, value] of Object.entries(measured)) {
      samples[figure] ??= [];
      if (index >= 0 && value !== undefined) samples[figure].push(value);
    }
  }
  return samples as Record<K, number[]>;
}

/** Milliseconds that `work` takes. */
export async function timeMs(work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

export interface FigureSpec {
  readonly unit: string;
  /** Whether more or less of it is better. */
  readonly better: 'more' | 'less';
  readonly ours: readonly number[];
  /** Of the same rounds as ours; empty where there is no peer. */
  readonly theirs?: readonly number[];
  readonly target?: Target;
  readonly conditions?: Conditions;
}

/** One figure from its samples. @throws RangeError without a sample of ours, or with another number of theirs */
export function figure(name: Figure['name'], spec: FigureSpec): Figure {
  const { unit, better, ours, theirs = [], target, conditions } = spec;
  const value = median(ours);
  const noise = {
    samples: ours.length,
    min: Math.min(...ours),
    p90: quantile(ours, 0.9),
    spread: spread(ours),
  };
  const base = { name, unit, value, ...(target === undefined ? {} : { target }) };
  if (theirs.length === 0) {
    return { ...base, peer: null, ratio: null, conditions: { ...noise, ...conditions } };
  }
  const pairs = better === 'more' ? ratios(ours, theirs) : ratios(theirs, ours);
  const more = { peerSpread: spread(theirs), ratioSpread: spread(pairs) };
  return {
    ...base,
    peer: median(theirs),
    ratio: median(pairs),
    conditions: { ...noise, ...more, ...conditions },
  };
}

/** Whether the target is reached; undefined where there is none, or nothing to tell it by. */
export function isReached({ value, ratio, target }: Figure): boolean | undefined {
  if (target === undefined) return undefined;
  const bounded = target.of === 'ratio' ? ratio : value;
  if (bounded === null) return undefined;
  return 'least' in target ? bounded >= target.least : bounded <= target.most;
}

/** Quotients of two figures round by round: noise that lasts longer than a round falls out. */
export function ratios(over: readonly number[], under: readonly number[]): number[] {
  if (over.length !== under.length) throw new RangeError('samples that are no pairs');
  return over.map((value, round) => value / (under[round] as number));
}

/** Half of the range that holds four fifths of the samples, as a part of the median: what of a figure is noise. */
export function spread(samples: readonly number[]): number {
  const range = quantile(samples, 0.9) - quantile(samples, 0.1);
  return range === 0 ? 0 : range / 2 / median(samples);
}

export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5);
}

/** The `q` quantile, interpolated between neighbours. @throws RangeError without a sample */
export function quantile(samples: readonly number[], q: number): number {
  if (samples.length === 0) throw new RangeError('no samples');
  const sorted = [...samples].sort((a, b) => a - b);
  const at = q * (sorted.length - 1);
  const below = sorted[Math.floor(at)] as number;
  const above = sorted[Math.ceil(at)] as number;
  return below + (above - below) * (at - Math.floor(at));
}
