/** `gradwire certs`: certificates for development as files, and what to do with them. */
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Issued, makeAuthority, makeCertificate } from './certificates.ts';
import { CERTS_USAGE, type CertsOptions, parseCertsOptions } from './certs-options.ts';
import { UsageError } from './usage-error.ts';

/** @throws UsageError */
export function certs(args: readonly string[]): number {
  const options = parseCertsOptions(args);
  process.stdout.write(options === 'help' ? `${CERTS_USAGE}\n` : makeFiles(options));
  return 0;
}

/** Writes the files. @returns what to tell @throws UsageError if one is there and must not be replaced */
function makeFiles({ folder, hosts, days, isForced }: CertsOptions): string {
  const place = resolve(folder);
  const ca = filesOf(place, 'ca');
  const wanted = hosts.map((names) => ({ names, files: filesOf(place, names[0]) }));
  if (!isForced) for (const { files } of wanted) refuseTaken(files);
  mkdirSync(place, { recursive: true, mode: 0o700 });
  const isKept = !isForced && existsSync(ca.cert) && existsSync(ca.key);
  if (!isForced && !isKept) refuseTaken(ca);
  const authority = isKept ? readAuthority(ca) : makeAuthority(days);
  if (!isKept) write(ca, authority);
  const texts = wanted.map(({ names, files }) => {
    write(files, makeCertificate(authority, names, days));
    const variables = { CERT: files.cert, KEY: files.key, CA: ca.cert };
    const lines = Object.entries(variables).map(
      ([name, path]) => `  export GRADWIRE_TLS_${name}=${quoted(path)}\n`,
    );
    return `\nFor workers that are reached as ${names.join(', ')}:\n${lines.join('')}`;
  });
  const state = isKept ? 'used again' : 'made';
  return (
    `The authority ${ca.cert} was ${state}; whoever has ${ca.key} can make certificates that all accept.\n` +
    `${texts.join('')}\nBeyond loopback all workers need the same GRADWIRE_TOKEN too.\n`
  );
}

function filesOf(place: string, name: string): Issued {
  // An IPv6 address has signs that file names of some systems have not.
  const base = join(place, name.toLowerCase().replaceAll(':', '_'));
  return { cert: `${base}.pem`, key: `${base}.key` };
}

function refuseTaken({ cert, key }: Issued): void {
  const taken = [cert, key].find((path) => existsSync(path));
  if (taken !== undefined) throw new UsageError(`${taken} is there: --force replaces it`);
}

function readAuthority({ cert, key }: Issued): Issued {
  const authority = { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
  const { validTo } = new X509Certificate(authority.cert);
  if (Date.parse(validTo) > Date.now()) return authority;
  throw new UsageError(`${cert} has expired, at ${validTo}: --force makes a new authority`);
}

/** New files, never through links that stand in their place. */
function write(files: Issued, { cert, key }: Issued): void {
  for (const path of Object.values(files)) rmSync(path, { force: true });
  writeFileSync(files.key, key, { mode: 0o600, flag: 'wx' });
  writeFileSync(files.cert, cert, { mode: 0o644, flag: 'wx' });
}

/** As a word of a shell. */
function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
