/** What the samples of a soak say: a table, and whether memory grows. Pure. */
import type { Told } from './soak-words.ts';

/** The samples of one round. */
export interface Taken {
  readonly number: number;
  readonly killed: number;
  readonly told: readonly Extract<Told, { type: 'sample' }>[];
}

const MB = 2 ** 20;
/** Rounds that count as warming up: code is compiled, pools are filled. */
const WARM_UP = 2;
/** Of these the slope means nothing. */
const FEWEST_POINTS = 3;
/** Added within the run by what is no leak: V8 keeps what it has compiled, and frees late. Measured when quiet, after a collection. */
const HEAP_ALLOWANCE_MB = 8;
const RSS_ALLOWANCE_MB = 40;

interface Growth {
  /** By linear regression over all rounds after the warm-up. */
  readonly perRoundMB: number;
  readonly totalMB: number;
  readonly points: number;
}

export function growthOf(taken: readonly Taken[], rank: number, key: 'rss' | 'heap'): Growth {
  const values = taken
    .slice(WARM_UP)
    .flatMap(({ told }) => told.filter((one) => one.rank === rank))
    .map(({ sample }) => sample[key] / MB);
  const n = values.length;
  const meanX = (n - 1) / 2;
  const meanY = values.reduce((sum, y) => sum + y, 0) / Math.max(1, n);
  const over = values.reduce((sum, y, x) => sum + (x - meanX) * (y - meanY), 0);
  const under = values.reduce((sum, _, x) => sum + (x - meanX) ** 2, 0);
  const perRoundMB = under === 0 ? 0 : over / under;
  return { perRoundMB, totalMB: perRoundMB * Math.max(0, n - 1), points: n };
}

/** Faults of the members that lived through all rounds. */
export function growths(taken: readonly Taken[], survivors: readonly number[]): string[] {
  const faults: string[] = [];
  for (const rank of survivors) {
    for (const [key, limitMB] of [
      ['heap', HEAP_ALLOWANCE_MB],
      ['rss', RSS_ALLOWANCE_MB],
    ] as const) {
      const { totalMB, points } = growthOf(taken, rank, key);
      if (points < FEWEST_POINTS || totalMB <= limitMB) continue;
      faults.push(
        `rank ${rank}: ${key} grew by ${totalMB.toFixed(1)} MB after the warm-up, more than ${limitMB}`,
      );
    }
  }
  return faults;
}

/** One line for each member: what it did, what it held in the last round, and how memory went. */
export function table(taken: readonly Taken[]): string {
  const head =
    'rank    deeds  tensors  refs  contexts  sockets  fds  rss MB  slope/round  heap MB  slope/round  errors';
  const lines = taken.at(-1)?.told.map(({ rank, done, errors, sample }) => {
    const { tensors, references, contexts, sockets, descriptors, rss, heap } = sample;
    const slope = (key: 'rss' | 'heap'): string => growthOf(taken, rank, key).perRoundMB.toFixed(2);
    const cells: readonly (readonly [unknown, number])[] = [
      [rank, 4],
      [done, 9],
      [tensors, 9],
      [references, 6],
      [contexts, 10],
      [sockets, 9],
      [descriptors, 5],
      [(rss / MB).toFixed(1), 8],
      [slope('rss'), 13],
      [(heap / MB).toFixed(1), 9],
      [slope('heap'), 13],
    ];
    const row = cells.map(([value, width]) => String(value).padStart(width)).join('');
    return `${row}  ${JSON.stringify(errors)}`;
  });
  return [head, ...(lines ?? [])].join('\n');
}
