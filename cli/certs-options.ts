/** The command line of `gradwire certs`. Pure. */
import { isIP } from 'node:net';
import { tokensOf } from './tokens.ts';
import { UsageError } from './usage-error.ts';

export interface CertsOptions {
  /** As given; relative to the working directory. */
  readonly folder: string;
  /** For each certificate the names and addresses that it is for. Its files have the first one's name. */
  readonly hosts: readonly (readonly [string, ...string[]])[];
  /** How long certificates are valid. */
  readonly days: number;
  /** Whether files that are there may be replaced. */
  readonly isForced: boolean;
}

export const CERTS_USAGE = `gradwire certs DIR [--host NAMES]... [--days N] [--force]

Makes certificates for development in DIR: an authority, unless DIR has one, and a certificate for each host, and prints
the variables with which its workers use it. Keys can be read by this user alone. Copy to a host its own two files and
ca.pem; ca.key makes certificates that all accept, and stays where it is.

  --host NAMES   names and IP addresses under which the others reach a host, with commas; once per host. Default: localhost,
                 127.0.0.1 and ::1. The files have the first name: NAME.pem, NAME.key
  --days N       how long certificates are valid, default 365
  --force        make the authority anew too, and replace what is there; without it no file is ever replaced`;

const OPTIONS = {
  host: { type: 'string' },
  days: { type: 'string' },
  force: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

const LOOPBACK = ['localhost', '127.0.0.1', '::1'] as const;
/** Labels of letters, digits and hyphens: no name can lead out of the folder. */
const DNS_NAME =
  /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/i;

/**
 * @returns 'help' if help is asked for
 * @throws UsageError saying in one line what is wrong
 */
export function parseCertsOptions(args: readonly string[]): CertsOptions | 'help' {
  let folder: string | undefined;
  let days = 365;
  let isForced = false;
  const hosts: [string, ...string[]][] = [];
  for (const token of tokensOf(args, OPTIONS)) {
    if (token.kind === 'option-terminator') continue;
    if (token.kind === 'positional') {
      if (folder !== undefined) throw new UsageError('certs takes one folder');
      folder = token.value;
      continue;
    }
    switch (token.name) {
      case 'help':
        return 'help';
      case 'host':
        hosts.push(namesOf(token.value));
        break;
      case 'days':
        days = daysOf(token.value);
        break;
      case 'force':
        isForced = true;
        break;
      default:
        throw new UsageError(`unknown option ${token.rawName}; see gradwire certs --help`);
    }
  }
  if (!folder) throw new UsageError('no folder given; see gradwire certs --help');
  const files = hosts.map(([first]) => first.toLowerCase());
  const twice = files.find((name, i) => name === 'ca' || files.indexOf(name) !== i);
  if (twice !== undefined) {
    throw new UsageError(`the files of --host ${twice} would have another's names`);
  }
  return { folder, hosts: hosts.length === 0 ? [[...LOOPBACK]] : hosts, days, isForced };
}

function namesOf(text: string | undefined): [string, ...string[]] {
  const names = (text ?? '').split(',');
  const wrong = names.find((name) => isIP(name) === 0 && !DNS_NAME.test(name));
  if (wrong !== undefined) {
    throw new UsageError(`--host takes names and IP addresses with commas, not '${text ?? ''}'`);
  }
  return names as [string, ...string[]];
}

function daysOf(text: string | undefined): number {
  if (text !== undefined && /^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new UsageError(`--days takes a whole number from 1 to 9999, not '${text ?? ''}'`);
}
