/** What the findings of all engines say about each case: the rows of the table of `gradwire doctor --grads`. Pure. */
import {
  BOUND,
  CASES,
  type Case,
  DIFFERENCE_BOUND,
  GOLDENS,
  goldenDifference,
  largestDifference,
  reasonWithoutGolden,
} from '../tensor/conformance/index.ts';
import type { CaseFinding, Findings } from './doctor-process.ts';

/** One comparison of one case. */
export interface Cell {
  /** Relative; absent where nothing was compared. */
  readonly difference?: number;
  /** Why nothing was compared. */
  readonly reason?: string;
  readonly isOk: boolean;
}

export interface Row {
  readonly name: string;
  /** In the order of `Verdict.columns`. */
  readonly cells: readonly Cell[];
}

export interface Verdict {
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
  /** Engines that found nothing, or not everything, and why. */
  readonly failures: readonly string[];
  readonly isOk: boolean;
}

/** @param reference of the engine that the others are compared with */
export function verdictOf(reference: Findings, others: readonly Findings[]): Verdict {
  const all = [reference, ...others];
  const rows = CASES.map((each): Row => {
    const base = reference.cases.get(each.name);
    const cells = [
      ...others.map((other) => againstReference(base, other.cases.get(each.name))),
      againstDifferences(each, base),
      againstPyTorch(each, all),
    ];
    return { name: each.name, cells };
  });
  const failures = all.flatMap((one) =>
    one.reason === undefined ? [] : [`${titleOf(one)}: ${one.reason}`],
  );
  return {
    columns: [...others.map(titleOf), 'differences', 'PyTorch'],
    rows,
    failures,
    isOk: failures.length === 0 && rows.every(({ cells }) => cells.every(({ isOk }) => isOk)),
  };
}

export function titleOf({ engine, threads }: Pick<Findings, 'engine' | 'threads'>): string {
  if (engine !== 'wasm') return engine;
  return `wasm, ${threads} ${threads === 1 ? 'thread' : 'threads'}`;
}

function within(difference: number, bound: number): Cell {
  // Also false for NaN.
  return { difference, isOk: difference <= bound };
}

function failed(reason: string): Cell {
  return { reason, isOk: false };
}

function againstReference(base: CaseFinding | undefined, mine: CaseFinding | undefined): Cell {
  const { results } = mine ?? {};
  if (results === undefined) return failed(mine?.reason ?? 'not run');
  if (base?.results === undefined) return failed(base?.reason ?? 'not run on cpu');
  const theirs = base.results;
  const differences = results.flatMap(({ values, gradients }, i) => [
    largestDifference(values, theirs[i]?.values ?? []),
    largestDifference(gradients, theirs[i]?.gradients ?? []),
  ]);
  return within(Math.max(...differences), BOUND);
}

function againstDifferences({ kind, reason }: Case, base: CaseFinding | undefined): Cell {
  if (reason !== undefined) return { reason, isOk: true };
  if (kind === 'ties') return { reason: 'no derivative where elements are equal', isOk: true };
  if (base?.difference === undefined) return failed(base?.reason ?? 'not run on cpu');
  return within(base.difference, DIFFERENCE_BOUND);
}

function againstPyTorch(each: Case, all: readonly Findings[]): Cell {
  const { name } = each;
  if (!(name in GOLDENS)) return { reason: reasonWithoutGolden(each) ?? 'unknown', isOk: true };
  const found = all.flatMap(({ cases }) => cases.get(name)?.results ?? []);
  if (found.length === 0) return failed('not run');
  const differences = all.flatMap(({ cases }) => {
    const results = cases.get(name)?.results;
    return results === undefined ? [] : [goldenDifference(name, results)];
  });
  return within(Math.max(...differences), BOUND);
}
