/**
 * The outermost part of an example: its flags, its rank, the records that it writes, and how it ends when something is
 * wrong. Knows nothing of what it does.
 */
import { isGradwireError } from 'gradwire';
import { type FlagSpec, type Flags, parseFlags, UsageError, usage } from './args.ts';
import { DataError } from './data-file.ts';
import { JsonLines } from './json-lines.ts';

/** What an example is. */
export interface About<S extends FlagSpec> {
  /** Its folder. */
  readonly name: string;
  /** One line for `--help`. */
  readonly text: string;
  /** How many processes it has usually. */
  readonly processes: number;
  /** How many it takes. Default: `processes` alone. */
  readonly takes?: readonly [least: number, most: number];
  /** The rank that writes the records of `--json`. */
  readonly reporter: number;
  /** Beside `--seed` and `--json`. */
  readonly flags: S;
}

const COMMON = {
  seed: { type: 'int', default: 1, min: 0, help: 'seed of data and initial values' },
  json: { type: 'string', help: 'file for the run as JSON Lines: as it goes, figures at the end' },
} as const;

/** Where this process stands in the job. */
export interface Place<S extends FlagSpec> {
  readonly rank: number;
  readonly worldSize: number;
  readonly flags: Flags<S & typeof COMMON>;
  /** The flags that make the run what it is, for its records. */
  readonly settings: object;
  /** Adds a record to the file of `--json`: on the reporting rank, if the flag is given. */
  readonly write: (record: object) => void;
}

/** Runs `main` with what the command line and the launcher say; what it rejects with is said and ends the process. */
export function runExample<const S extends FlagSpec>(
  about: About<S>,
  main: (place: Place<S>) => Promise<void>,
): void {
  const begin = async (): Promise<void> => {
    const spec = { ...about.flags, ...COMMON };
    const flags = parseFlags(spec) as Flags<S & typeof COMMON>;
    const command = `node dist/cli/main.js run --standalone -n ${about.processes} dist/examples/${about.name}/main.js`;
    if (flags.help) {
      process.stdout.write(usage(spec, { command, about: about.text }));
      return;
    }
    const [rank, worldSize] = [fromLauncher('RANK', command), fromLauncher('WORLD_SIZE', command)];
    const [least, most] = about.takes ?? [about.processes, about.processes];
    if (worldSize < least || worldSize > most) {
      const range = least === most ? least : `${least} to ${most}`;
      throw new UsageError(`this example takes ${range} processes, not ${worldSize}`);
    }
    const { help: _help, json: file, ...settings } = flags;
    const isReporter = rank === about.reporter && file !== undefined;
    const json = isReporter ? new JsonLines(file) : undefined;
    await main({ rank, worldSize, flags, settings, write: (record) => json?.write(record) });
  };
  begin().catch(exitWith);
}

/** Says why a process cannot go on, and ends it. */
export function exitWith(error: Error): never {
  // What the user can mend is one line; anything else is a bug and shows where.
  const isUsage = error instanceof UsageError || error instanceof DataError;
  console.error(isUsage || isGradwireError(error) ? error.message : error.stack);
  if (isGradwireError(error) && error.remoteStack !== undefined) {
    console.error(`  on ${error.peer}: ${error.remoteStack.replaceAll('\n', '\n  ')}`);
  }
  process.exit(isUsage ? 2 : 1);
}

/** @throws UsageError if the launcher did not say it */
function fromLauncher(name: string, command: string): number {
  const value = process.env[name] ?? '';
  if (/^\d+$/.test(value)) return Number(value);
  throw new UsageError(`${name} is '${value}': start the example by ${command}`);
}
