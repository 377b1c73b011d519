/**
 * How everything here is measured: in rounds that take turns, so that the noise of a shared machine meets all alike, and
 * summed up by medians. Pure but for the clock; knows nothing of what is measured.
 */

/** One measured figure, as it stands in the JSON file. */
export interface Figure {
  readonly suite: string;
  readonly figure: string;
  readonly unit: string;
  readonly median: number;
  readonly min: number;
  readonly p90: number;
  /** `(p90 - min) / median`: what of the figure is noise. */
  readonly spread: number;
  /** Number of samples. */
  readonly samples: number;
  /** What is to be reached, if anything. */
  readonly target?: Target;
}

/** A bound of the median: at least or at most. */
export type Target = { readonly least: number } | { readonly most: number };

/** What a suite is told, and where it speaks while it runs. */
export interface SuiteOptions {
  /** Rounds that count, after the warm-up. */
  readonly rounds: number;
  /** Says something about the run, in one line. */
  readonly note: (line: string) => void;
  /** One run of the peer's tutorial job: its iterations per second. */
  readonly peer?: () => Promise<number>;
}

/** Measures some figures. */
export type Suite = (options: SuiteOptions) => Promise<readonly Figure[]>;

/** Samples by figure. */
export type Samples<K extends string> = Readonly<Record<K, readonly number[]>>;

/**
 * Calls `round` `warmUp + rounds` times and collects what it gives each time, by figure; the first `warmUp` are dropped.
 * `round` measures each of its figures once, in turns, and gets the number of the round, below 0 while it warms up.
 */
export async function inRounds<K extends string>(
  { warmUp, rounds }: { readonly warmUp: number; readonly rounds: number },
  round: (index: number) => Promise<Readonly<Record<K, number>>>,
): Promise<Samples<K>> {
  const samples: Record<string, number[]> = {};
  for (let index = -warmUp; index < rounds; index++) {
    const measured: Record<string, number> = await round(index);
    if (index < 0) continue;
    for (const [figure, value] of Object.entries(measured)) {
      samples[figure] ??= [];
      samples[figure].push(value);
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

/** One figure from its samples. @throws RangeError without a sample */
export function summarize(
  name: `${string}.${string}`,
  unit: string,
  samples: readonly number[],
  target?: Target,
): Figure {
  const [suite = '', figure = ''] = name.split('.');
  const middle = median(samples);
  const min = Math.min(...samples);
  const p90 = quantile(samples, 0.9);
  const spread = (p90 - min) / middle;
  const base = { suite, figure, unit, median: middle, min, p90, spread, samples: samples.length };
  return target === undefined ? base : { ...base, target };
}

/** Whether the median keeps to the target; true where there is none. */
export function isReached({ median: value, target }: Figure): boolean {
  if (target === undefined) return true;
  return 'least' in target ? value >= target.least : value <= target.most;
}

/** Quotients of two figures round by round: noise that lasts longer than a round falls out. */
export function ratios(over: readonly number[], under: readonly number[]): number[] {
  return over.map((value, round) => value / (under[round] as number));
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
