/** Reads test/parity/schedules.json, which test/parity/schedules.py describes. */
import { readFileSync } from 'node:fs';

export interface GoldenPart {
  readonly schedule: string;
  readonly options: Readonly<Record<string, unknown>>;
}

export interface GoldenSchedule extends GoldenPart {
  readonly parts: readonly GoldenPart[];
  readonly isAdam: boolean;
  /** Whether half the rate is written into the first group after epoch 20. */
  readonly isHalved: boolean;
  /** Rates of both groups by epoch, from 0. */
  readonly lrs: readonly (readonly [number, number])[];
  readonly momenta?: readonly (readonly [number, number])[];
}

export interface GoldenNorm {
  readonly isSparse: boolean;
  readonly maxNorm: number;
  readonly normType: number | 'Infinity';
  readonly totalNorm: number;
  readonly gradients: readonly number[][];
}

interface GoldenFile {
  readonly clippedShapes: readonly number[][];
  /** What a schedule on plateau sees, by epoch. */
  readonly metrics: readonly number[];
  readonly schedules: readonly GoldenSchedule[];
  readonly norms: readonly GoldenNorm[];
  readonly values: readonly { clipValue: number; gradients: readonly number[][] }[];
}

// From dist/test/support up to the root of the repository: the compiler does not copy JSON.
const path = new URL('../../../test/parity/schedules.json', import.meta.url);

export const goldenSchedules: GoldenFile = JSON.parse(readFileSync(path, 'utf8'));
