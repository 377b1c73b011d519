/**
 * The options of an update rule as a table: what each may be and its default. Options come from users, peers, files and
 * schedules, so their types are checked as well. Knows nothing of parameters.
 */
import { GradwireError } from '../errors.ts';

export type OptionValue = number | boolean | readonly number[];

/** What one option may be. */
export interface OptionKind<T> {
  /** Undefined for an option that must be given. */
  readonly fallback: T | undefined;
  /** For people: what `accepts` accepts. */
  readonly takes: string;
  accepts(value: unknown): boolean;
}

/** A kind for each option, in the order in which they are checked. */
export type OptionTable<O> = { readonly [K in keyof O]-?: OptionKind<O[K]> };

/** A finite number from `min` to below `below`, both open to the infinite side unless given. */
export function numberOption(
  fallback: number | undefined,
  range: { readonly min?: number; readonly below?: number; readonly max?: number } = { min: 0 },
): OptionKind<number> {
  const accepts = inRange(range);
  return { fallback, accepts, takes: `a finite number${describe(range)}` };
}

/** Two finite numbers, both in the range. */
export function pairOption(
  fallback: readonly [number, number],
  range: { readonly min?: number; readonly below?: number } = { min: 0 },
): OptionKind<readonly [number, number]> {
  const accepts = inRange(range);
  return {
    fallback,
    takes: `two finite numbers${describe(range)}`,
    accepts: (value) => Array.isArray(value) && value.length === 2 && value.every(accepts),
  };
}

export function flagOption(fallback: boolean): OptionKind<boolean> {
  return { fallback, takes: 'a boolean', accepts: (value) => typeof value === 'boolean' };
}

/**
 * All options of `table`: what is given, else the default. An option given as undefined counts as not given.
 *
 * @param rule name for the messages
 * @throws GradwireError `invalid_argument`
 */
export function checkOptions<O extends object>(
  rule: string,
  table: OptionTable<O>,
  given: object,
): Required<O> {
  const kinds = new Map<string, OptionKind<unknown>>(Object.entries(table));
  for (const name of Object.keys(given)) {
    if (!kinds.has(name)) throw invalid(`${rule} has no option '${name}'`);
  }
  const entries = [...kinds].map(([name, kind]): [string, unknown] => {
    const own = (given as Record<string, unknown>)[name];
    const value = own === undefined ? kind.fallback : own;
    if (value === undefined) throw invalid(`${rule} needs the option ${name}, ${kind.takes}`);
    if (!kind.accepts(value)) throw invalid(`${rule}: ${name} is ${value}, not ${kind.takes}`);
    return [name, Array.isArray(value) ? [...value] : value];
  });
  return Object.fromEntries(entries) as Required<O>;
}

function inRange(range: {
  readonly min?: number;
  readonly below?: number;
  readonly max?: number;
}): (value: unknown) => boolean {
  const { min = -Infinity, below = Infinity, max = Infinity } = range;
  return (value) =>
    typeof value === 'number' &&
    Number.isFinite(value) &&
    value >= min &&
    value < below &&
    value <= max;
}

function describe(range: { min?: number; below?: number; max?: number }): string {
  const { min, below, max } = range;
  const parts = [
    min === undefined ? '' : ` ≥ ${min}`,
    below === undefined ? '' : ` < ${below}`,
    max === undefined ? '' : ` ≤ ${max}`,
  ];
  return parts.filter((part) => part !== '').join(' and');
}

function invalid(message: string): GradwireError {
  return new GradwireError('invalid_argument', message);
}
