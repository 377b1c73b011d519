/** The command line of `gradwire doctor`. Pure. */
import { tokensOf } from './tokens.ts';
import { UsageError } from './usage-error.ts';

export interface DoctorOptions {
  /** Whether to compute the table of gradients. */
  readonly isGrads: boolean;
  /** Whether to print JSON, one object a line, for programs. */
  readonly isJson: boolean;
}

export const DOCTOR_USAGE = `gradwire doctor [--grads] [--json]

Says what gradwire finds on this machine: versions, cores, and which engines load.

  --grads   run every operation and layer on every engine: its gradients against those of the engine cpu, those against
            finite differences, and all against PyTorch; the exit code is 0 if all agree
  --json    print JSON, one object a line`;

const OPTIONS = {
  grads: { type: 'boolean' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

/**
 * @returns 'help' if help is asked for
 * @throws UsageError saying in one line what is wrong
 */
export function parseDoctorOptions(args: readonly string[]): DoctorOptions | 'help' {
  let isGrads = false;
  let isJson = false;
  for (const token of tokensOf(args, OPTIONS)) {
    if (token.kind !== 'option') {
      const found = token.kind === 'positional' ? token.value : '--';
      throw new UsageError(`doctor takes no '${found}'; see gradwire doctor --help`);
    }
    if (token.name === 'help') return 'help';
    if (!(token.name in OPTIONS) || token.value !== undefined) {
      throw new UsageError(`unknown option ${args[token.index]}; see gradwire doctor --help`);
    }
    if (token.name === 'grads') isGrads = true;
    else isJson = true;
  }
  return { isGrads, isJson };
}
