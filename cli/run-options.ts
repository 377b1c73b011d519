/**
 * The command line of `gradwire run`, after torchrun's: options of the launcher stand before the script, everything
 * after it is the script's. Pure.
 */
import { tokensOf } from './tokens.ts';
import { UsageError } from './usage-error.ts';

export interface RunOptions {
  /** Number of processes, ≥ 1. Default 1. */
  readonly processCount: number;
  /** The rank whose last stdout line is the result of the job. */
  readonly resultRank: number | undefined;
  /** Folder for the output of each rank; relative to the working directory. */
  readonly logDir: string | undefined;
  /** As given; relative to the working directory. */
  readonly script: string;
  readonly scriptArgs: readonly string[];
}

export const RUN_USAGE = `gradwire run --standalone [-n N] [--result-rank R] [--log-dir DIR] [--] SCRIPT [ARGS...]

Runs SCRIPT in N processes on this host. The first failure ends all of them, and its exit code is the launcher's: the
others have 2 s to notice and say so, then comes SIGTERM, and SIGKILL 5 s later. Ctrl-C and
SIGTERM are passed on to all, which have 30 s then; a second one kills at once.

  --standalone              all processes on this host, which picks a free port (required)
  -n, --nproc-per-node N    number of processes, default 1
  --result-rank R           print the last stdout line of rank R last of all, without prefix, if the job succeeds
  --log-dir DIR             write the output of each rank, without live progress, to DIR/RUN_ID/RANK/stdout.log and
                            stderr.log too

Each process finds in its environment, as under torchrun:
  RANK, LOCAL_RANK, ROLE_RANK                    its number, 0 to N - 1
  WORLD_SIZE, LOCAL_WORLD_SIZE, ROLE_WORLD_SIZE  N
  GROUP_RANK                                     0, the number of this host
  MASTER_ADDR, MASTER_PORT                       where rank 0 is to listen: loopback and a free port
  TORCHELASTIC_RUN_ID                            name of the run
  TORCHELASTIC_RESTART_COUNT, _MAX_RESTARTS      0: nothing is restarted
and GRADWIRE_TOKEN, the secret of the run; GRADWIRE_TTY=1 if live progress is worth writing.`;

const OPTIONS = {
  standalone: { type: 'boolean' },
  'nproc-per-node': { type: 'string', short: 'n' },
  // torchrun takes both spellings.
  nproc_per_node: { type: 'string' },
  'result-rank': { type: 'string' },
  'log-dir': { type: 'string' },
  log_dir: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

/**
 * @returns 'help' if help is asked for
 * @throws UsageError saying in one line what is wrong
 */
export function parseRunOptions(args: readonly string[]): RunOptions | 'help' {
  let processCount = 1;
  let resultRank: number | undefined;
  let logDir: string | undefined;
  let isStandalone = false;
  let scriptAt = args.length;
  for (const token of tokensOf(args, OPTIONS)) {
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
      case 'log-dir':
      case 'log_dir':
        if (!token.value) throw new UsageError(`${token.rawName} takes the name of a folder`);
        logDir = token.value;
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
  return { processCount, resultRank, logDir, script, scriptArgs: args.slice(scriptAt + 1) };
}

function wholeNumber(name: string, text: string | undefined, min: number): number {
  const value = text !== undefined && /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min) return value;
  throw new UsageError(`${name} takes a whole number ≥ ${min}, not '${text ?? ''}'`);
}
