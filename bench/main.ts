/** `npm run bench [-- SUITE...]`: measures, prints a table, and writes JSON when asked. */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { autograd } from './autograd.ts';
import type { Figure, Suite, SuiteOptions } from './harness.ts';
import { hasPyTorch, runPyTorch } from './pytorch.ts';
import { machineLine, table } from './report.ts';
import { rpc } from './rpc.ts';
import { tutorial } from './tutorial.ts';

const SUITES: ReadonlyMap<string, Suite> = new Map(Object.entries({ tutorial, autograd, rpc }));
const DEFAULT_ROUNDS = 5;

const HELP = `usage: npm run bench [-- SUITE... flags]
Suites: ${[...SUITES.keys()].join(', ')}; default all.

  --json FILE         writes the figures there
  --rounds N          rounds that count (default ${DEFAULT_ROUNDS})
  --peer-script FILE  PyTorch's tutorial job, to run in turns with ours; needs --data
  --data DIR          MNIST's four files, for the peer
  --peer-python FILE  interpreter of the peer (default python3)
  --peer-threads N    threads of each process of the peer (default 1)
  --help              this text
`;

/** The command line is wrong; the message is one line for the user. */
class UsageError extends Error {}

const FLAGS = {
  json: { type: 'string' },
  rounds: { type: 'string', default: String(DEFAULT_ROUNDS) },
  'peer-script': { type: 'string' },
  data: { type: 'string' },
  'peer-python': { type: 'string', default: 'python3' },
  'peer-threads': { type: 'string', default: '1' },
  help: { type: 'boolean', default: false },
} as const;

interface Command {
  readonly suites: readonly string[];
  readonly rounds: number;
  readonly json: string | undefined;
  readonly peer: SuiteOptions['peer'];
  readonly python: string;
}

function readCommand(): Command | undefined {
  const { values, positionals } = parse();
  if (values.help) return undefined;
  for (const name of positionals) {
    if (SUITES.has(name)) continue;
    throw new UsageError(`no suite ${name}: there are ${[...SUITES.keys()].join(', ')}`);
  }
  const { 'peer-script': script, data, 'peer-python': python } = values;
  if ((script === undefined) !== (data === undefined)) {
    throw new UsageError('--peer-script and --data go together');
  }
  const threads = count('--peer-threads', values['peer-threads']);
  return {
    suites: positionals.length === 0 ? [...SUITES.keys()] : [...new Set(positionals)],
    rounds: count('--rounds', values.rounds),
    json: values.json,
    python,
    peer:
      script === undefined || data === undefined
        ? undefined
        : () => runPyTorch({ python, script, data, threads }),
  };
}

function parse(): ReturnType<
  typeof parseArgs<{ options: typeof FLAGS; allowPositionals: true; strict: true }>
> {
  try {
    return parseArgs({ options: FLAGS, allowPositionals: true, strict: true });
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

async function main(): Promise<void> {
  const command = readCommand();
  if (command === undefined) {
    process.stdout.write(HELP);
    return;
  }
  const machine = machineLine();
  console.log(machine);
  const figures: Figure[] = [];
  const peer = await usablePeer(command);
  for (const name of command.suites) {
    const suite = SUITES.get(name) as Suite;
    const note = (line: string): void => console.log(`${name}: ${line}`);
    const options = { rounds: command.rounds, note, ...(peer === undefined ? {} : { peer }) };
    const measured = await suite(options);
    process.stdout.write(table(measured));
    figures.push(...measured);
  }
  if (command.json === undefined) return;
  writeFileSync(command.json, `${JSON.stringify({ machine, figures }, null, 2)}\n`);
}

async function usablePeer({ suites, peer, python }: Command): Promise<SuiteOptions['peer']> {
  if (peer === undefined || !suites.includes('tutorial')) return undefined;
  if (await hasPyTorch(python)) return peer;
  throw new UsageError(`${python} cannot import torch: name another one by --peer-python`);
}

main().catch((error: Error) => {
  console.error(error instanceof UsageError ? error.message : error.stack);
  process.exit(error instanceof UsageError ? 2 : 1);
});
