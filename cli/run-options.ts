/**
 * The command line of `gradwire run`, after torchrun's: options of the launcher stand before the script, everything
 * after it is the script's. Pure.
 */
import { parseArgs } from 'node:util';
import { UsageError } from './usage-error.ts';

export interface RunOptions {
  /** Number of processes, ≥ 1. Default 1. */
  readonly processCount: number;
  /** The rank whose last stdout line is the result of the job. */
  readonly resultRank: number | undefined;
  /** As given; relative to the working directory. */
  readonly script: string;
  readonly scriptArgs: readonly string[];
}

export const RUN_USAGE = `gradwire run --standalone [-n N] [--result-rank R] [--] SCRIPT [ARGS...]

Runs SCRIPT in N processes on this host, with RANK, LOCAL_RANK, WORLD_SIZE, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT
and GRADWIRE_TOKEN in the environment. The first failure ends all of them, and its exit code is the launcher's.

  --standalone              all processes on this host, which picks a free port (required)
  -n, --nproc-per-node N    number of processes, default 1
  --result-rank R           print the last stdout line of rank R last of all, without prefix, if the job succeeds`;

const OPTIONS = {
  standalone: { type: 'boolean' },
  'nproc-per-node': { type: 'string', short: 'n' },
  // torchrun takes both spellings.
  nproc_per_node: { type: 'string' },
  'result-rank': { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

/**
 * @returns 'help' if help is asked for
 * @throws UsageError saying in one line what is wrong
 */
export function parseRunOptions(args: readonly string[]): RunOptions | 'help' {
  const { tokens } = parseArgs({
    args: [...args],
    options: OPTIONS,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  let processCount = 1;
  let resultRank: number | undefined;
  let isStandalone = false;
  let scriptAt = args.length;
  for (const token of tokens) {
    if (token.kind !== 'option') {
      scriptAt = token.kind === 'positional' ? token.index : token.index + 1;
      break;
    }
    switch (token.name) {
      case 'help':
        return 'help';
      case 'standalone':
        isStandalone = true;
        break;
      case 'nproc-per-node':
      case 'nproc_per_node':
        processCount = wholeNumber(token.rawName, token.value, 1);
        break;
      case 'result-rank':
        resultRank = wholeNumber(token.rawName, token.value, 0);
        break;
      default:
        throw new UsageError(`unknown option ${token.rawName}; see gradwire run --help`);
    }
  }
  const script = args[scriptAt];
  if (!isStandalone) {
    throw new UsageError('--standalone is required: running over several hosts comes later');
  }
  if (script === undefined) throw new UsageError('no script given; see gradwire run --help');
  if (resultRank !== undefined && resultRank >= processCount) {
    throw new UsageError(
      `--result-rank ${resultRank} is not one of the ranks 0 to ${processCount - 1}`,
    );
  }
  return { processCount, resultRank, script, scriptArgs: args.slice(scriptAt + 1) };
}

function wholeNumber(name: string, text: string | undefined, min: number): number {
  const value = text !== undefined && /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min) return value;
  throw new UsageError(`${name} takes a whole number ≥ ${min}, not '${text ?? ''}'`);
}
