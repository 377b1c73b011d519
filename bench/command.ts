/** The command line of the benchmarks. Runs nothing. */
import { parseArgs } from 'node:util';

const DEFAULT_ROUNDS = 5;

const FLAGS = {
  json: { type: 'string' },
  rounds: { type: 'string', default: String(DEFAULT_ROUNDS) },
  peer: { type: 'string' },
  'no-peer': { type: 'boolean', default: false },
  data: { type: 'string' },
  help: { type: 'boolean', default: false },
} as const;

export function helpText(suites: readonly string[]): string {
  return `usage: npm run bench [-- SUITE... flags]
Suites: ${suites.join(', ')}; default all.

  --json FILE    writes the figures there
  --peer PYTHON  interpreter with PyTorch, to run in turns with ours; none: without
                 (default /usr/bin/python3 or python3, if it has torch)
  --no-peer      the same as --peer none
  --data DIR     MNIST's four files, for both sides (default: generated digits)
  --rounds N     rounds that count (default ${DEFAULT_ROUNDS})
  --help         this text
`;
}

/** The command line is wrong; the message is one line for the user. */
export class UsageError extends Error {}

export interface Command {
  readonly suites: readonly string[];
  readonly rounds: number;
  /** File for the figures. */
  readonly json: string | undefined;
  /** The interpreter to try; `none` for no peer; undefined for the usual ones. */
  readonly peer: string | undefined;
  /** Folder with MNIST's files. */
  readonly data: string | undefined;
}

/** @returns undefined if help is asked for. @throws UsageError */
export function readCommand(
  args: readonly string[],
  suites: readonly string[],
): Command | undefined {
  const { values, positionals } = parse(args);
  if (values.help) return undefined;
  for (const name of positionals) {
    if (suites.includes(name)) continue;
    throw new UsageError(`no suite ${name}: there are ${suites.join(', ')}`);
  }
  if (values['no-peer'] && values.peer !== undefined && values.peer !== 'none') {
    throw new UsageError('--peer and --no-peer exclude each other');
  }
  return {
    suites: positionals.length === 0 ? suites : [...new Set(positionals)],
    rounds: count('--rounds', values.rounds),
    json: values.json,
    peer: values['no-peer'] ? 'none' : values.peer,
    data: values.data,
  };
}

function parse(
  args: readonly string[],
): ReturnType<typeof parseArgs<{ options: typeof FLAGS; allowPositionals: true; strict: true }>> {
  try {
    return parseArgs({ args: [...args], options: FLAGS, allowPositionals: true, strict: true });
  } catch (error) {
    const [line = ''] = (error as Error).message.split('\n');
    throw new UsageError(line, { cause: error });
  }
}

function count(flag: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw new UsageError(`${flag} is ${text}, expected a whole number of at least 1`);
}
