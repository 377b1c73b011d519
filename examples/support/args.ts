/**
 * Command-line flags of the examples, strictly: a flag that is not known or a value that is not what it should be is one
 * line that names the flag. `--world-size` and `--world_size`, `--flag value` and `--flag=value` are all the same.
 */
import { parseArgs } from 'node:util';

/** The command line is wrong; the message is one line for the user. */
export class UsageError extends Error {
  override readonly name: string = 'UsageError';
}

interface NumberFlag {
  /** `int` takes whole numbers only. */
  readonly type: 'int' | 'number';
  readonly default?: number;
  readonly min?: number;
  readonly max?: number;
  readonly help: string;
}

interface StringFlag {
  readonly type: 'string';
  readonly default?: string;
  /** The values that are taken; default all. */
  readonly choices?: readonly string[];
  readonly help: string;
}

/** `--flag` or `--no-flag`. */
interface BooleanFlag {
  readonly type: 'boolean';
  /** Default false. */
  readonly default?: boolean;
  readonly help: string;
}

/** What one flag takes. A flag without a default is undefined where it is not given. */
export type Flag = NumberFlag | StringFlag | BooleanFlag;

/** Flags by their names in camelCase: `worldSize` is `--world-size`. */
export type FlagSpec = Readonly<Record<string, Flag>>;

type Basic<F extends Flag> = F extends BooleanFlag
  ? boolean
  : F extends NumberFlag
    ? number
    : F extends { readonly choices: readonly (infer C)[] }
      ? C
      : string;

/** The values of the flags, by name. */
export type Flags<S extends FlagSpec> = {
  readonly [K in keyof S]: S[K] extends BooleanFlag | { readonly default: unknown }
    ? Basic<S[K]>
    : Basic<S[K]> | undefined;
} & {
  /** Whether `--help` or `-h` was given; then print `usage(…)` and stop. */
  readonly help: boolean;
};

type Value = number | string | boolean | undefined;

/**
 * The values of the flags in `argv` (default: the arguments of this process).
 *
 * @throws UsageError for an unknown flag (names the near ones), a bad or missing value, a flag given twice or an
 *   argument that is no flag
 */
export function parseFlags<const S extends FlagSpec>(
  spec: S,
  argv: readonly string[] = process.argv.slice(2),
): Flags<S> {
  const values: Record<string, Value> = {};
  let help = false;
  for (const [name, flag] of Object.entries(spec)) {
    values[name] = flag.default ?? (flag.type === 'boolean' ? false : undefined);
  }
  const seen = new Set<string>();
  for (const token of tokensOf(spec, argv)) {
    if (token.kind === 'option-terminator') continue;
    if (token.kind === 'positional') {
      throw new UsageError(`unexpected argument '${token.value}': only flags are taken`);
    }
    if (token.name === 'help') {
      help = true;
      continue;
    }
    const [name, value] = readFlag(spec, token);
    if (seen.has(name)) throw new UsageError(`${dashed(name)} is given twice`);
    seen.add(name);
    values[name] = value;
  }
  return { ...values, help } as Flags<S>;
}

/** The help text: a line for the command, then one for each flag with its default. */
export function usage(
  spec: FlagSpec,
  { command, about }: { command: string; about: string },
): string {
  const rows = Object.entries(spec).map(([name, flag]) => {
    const choices = flag.type === 'string' ? flag.choices?.join('|') : undefined;
    const value = flag.type === 'boolean' ? '' : ` ${choices ?? flag.type.toUpperCase()}`;
    const preset = flag.default === undefined ? '' : ` (default ${flag.default})`;
    return [`${dashed(name)}${value}`, `${flag.help}${preset}`];
  });
  rows.push(['--help', 'this text']);
  const width = Math.max(...rows.map(([flag = '']) => flag.length));
  const lines = rows.map(([flag = '', help = '']) => `  ${flag.padEnd(width)}  ${help}`);
  return [`usage: ${command} [flags]`, about, '', ...lines, ''].join('\n');
}

type Token = NonNullable<ReturnType<typeof parseArgs>['tokens']>[number];
type OptionToken = Extract<Token, { kind: 'option' }>;

/** The tokens of node:util's parser, which knows here only which flags take a value; the rest is judged above. */
function tokensOf(spec: FlagSpec, argv: readonly string[]): Token[] {
  const options: Record<string, { type: 'string' | 'boolean'; short?: string }> = {
    help: { type: 'boolean', short: 'h' },
  };
  for (const [name, flag] of Object.entries(spec)) {
    options[dashed(name).slice(2)] = { type: flag.type === 'boolean' ? 'boolean' : 'string' };
  }
  // Only the names of flags are respelled, never their values.
  const args = argv.map((arg) => arg.replace(/^--[^=]+/, (name) => name.replaceAll('_', '-')));
  const { tokens } = parseArgs({ args, options, strict: false, tokens: true });
  return tokens as Token[];
}

function readFlag(spec: FlagSpec, token: OptionToken): [name: string, value: Value] {
  const names = Object.keys(spec);
  const exact = names.find((name) => dashed(name) === token.rawName);
  const flag = exact === undefined ? undefined : spec[exact];
  if (exact !== undefined && flag !== undefined) {
    if (flag.type !== 'boolean') return [exact, readValue(token, flag)];
    if (token.value === undefined) return [exact, true];
    throw new UsageError(`${token.rawName} takes no value, it is given '${token.value}'`);
  }
  const negated = names.find((name) => `--no-${dashed(name).slice(2)}` === token.rawName);
  if (negated !== undefined && spec[negated]?.type === 'boolean' && token.value === undefined) {
    return [negated, false];
  }
  const near = [...names.map(dashed), '--help'].filter((name) => isNear(name, token.rawName));
  const hint = near.length > 0 ? `did you mean ${near.join(' or ')}?` : 'see --help';
  throw new UsageError(`unknown flag ${token.rawName}: ${hint}`);
}

function readValue(token: OptionToken, flag: NumberFlag | StringFlag): number | string {
  const { rawName, value } = token;
  const isFlag = token.inlineValue === false && value?.startsWith('--');
  if (value === undefined || value === '' || isFlag)
    throw new UsageError(`${rawName} needs a value`);
  if (flag.type === 'string') {
    if (flag.choices === undefined || flag.choices.includes(value)) return value;
    throw new UsageError(`${rawName} is '${value}', expected ${flag.choices.join(' or ')}`);
  }
  const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = flag;
  const number = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(value) ? Number(value) : Number.NaN;
  const isKind = flag.type === 'int' ? Number.isSafeInteger(number) : Number.isFinite(number);
  if (isKind && number >= min && number <= max) return number;
  const what = flag.type === 'int' ? 'a whole number' : 'a number';
  const least = flag.min === undefined ? '' : ` of at least ${min}`;
  const most =
    flag.max === undefined ? '' : `${flag.min === undefined ? ' of' : ' and'} at most ${max}`;
  throw new UsageError(`${rawName} is '${value}', expected ${what}${least}${most}`);
}

/** `worldSize` as `--world-size`. */
function dashed(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** Whether one is the beginning of the other, or they differ by at most two letters. */
function isNear(name: string, given: string): boolean {
  if (given.length > 3 && (name.startsWith(given) || given.startsWith(name))) return true;
  let row = Array.from({ length: given.length + 1 }, (_, i) => i);
  for (let i = 1; i <= name.length; i++) {
    const next = [i];
    for (let j = 1; j <= given.length; j++) {
      const change = (row[j - 1] as number) + (name[i - 1] === given[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return (row[given.length] as number) <= 2;
}
