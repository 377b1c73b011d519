import { X509Certificate } from 'node:crypto';
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { parseCertsOptions } from '../../cli/certs-options.ts';
import { checkTlsHost, loadTls } from '../../rpc/tls.ts';
import { CliRun } from '../support/cli.ts';

const place = mkdtempSync(join(tmpdir(), 'gradwire-certs-'));
afterAll(() => rmSync(place, { recursive: true }));
const fresh = (): string => join(mkdtempSync(join(place, 'x-')), 'certs');

/** The command with strings as code forbidden, as the whole suite runs. */
async function certs(...args: readonly string[]): Promise<CliRun & { exit: number | null }> {
  const flags = '--disallow-code-generation-from-strings --disable-proto=throw';
  const run = new CliRun(['certs', ...args], { env: { NODE_OPTIONS: flags } });
  const exit = await run.code();
  return Object.assign(run, { exit });
}

describe('gradwire certs', () => {
  test('makes what init takes, and says how', async () => {
    const folder = fresh();
    const run = await certs(folder, '--host', 'node1.lan,10.0.0.1', '--host', '::7', '--days', '3');
    expect([run.exit, run.stderr]).toEqual([0, '']);
    const found = [...run.stdout.matchAll(/export GRADWIRE_TLS_(\w+)=(.*)/g)];
    expect(found.map(([, name]) => name)).toEqual(['CERT', 'KEY', 'CA', 'CERT', 'KEY', 'CA']);
    const [cert, key, ca, cert7, key7] = found.map(([, , path]) => path as string) as [
      string,
      string,
      string,
      string,
      string,
    ];
    const credentials = loadTls({ cert, key, ca });
    for (const host of ['node1.lan', '10.0.0.1']) checkTlsHost(credentials, host);
    checkTlsHost(loadTls({ cert: cert7, key: key7, ca }), '::7');
    for (const path of [key, key7, join(folder, 'ca.key')]) {
      expect(statSync(path).mode & 0o777).toBe(0o600);
    }
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    const { validTo } = new X509Certificate(readFileSync(cert));
    const days = (Date.parse(validTo) - Date.now()) / 86_400_000;
    expect(Math.round(days)).toBe(3);
  });

  test('replaces nothing, but adds to what is there; --force replaces all', async () => {
    const folder = fresh();
    expect((await certs(folder)).exit).toBe(0);
    const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
    const before = [read('ca.pem'), read('localhost.key')];
    const again = await certs(folder);
    expect(again.exit).toBe(2);
    expect(again.stderr).toMatch(/localhost.pem is there: --force replaces it/);
    expect((await certs(folder, '--host', 'other')).stdout).toMatch(/ca.pem was used again/);
    expect([read('ca.pem'), read('localhost.key')]).toEqual(before);
    loadTls({ cert: read('other.pem'), key: read('other.key'), ca: read('ca.pem') });
    expect((await certs(folder, '--force')).exit).toBe(0);
    expect(read('ca.pem')).not.toBe(before[0]);
    expect(read('localhost.key')).not.toBe(before[1]);
  });

  test('a half of an authority is not replaced, and no link is followed', async () => {
    const folder = fresh();
    await certs(folder);
    rmSync(join(folder, 'ca.key'));
    expect((await certs(folder, '--host', 'b')).stderr).toMatch(/ca.pem is there/);
    const elsewhere = join(place, 'elsewhere');
    writeFileSync(elsewhere, 'mine');
    rmSync(join(folder, 'localhost.key'));
    symlinkSync(elsewhere, join(folder, 'localhost.key'));
    expect((await certs(folder, '--force')).exit).toBe(0);
    expect(readFileSync(elsewhere, 'utf8')).toBe('mine');
  });

  test('has help', async () => {
    expect((await certs('--help')).stdout).toMatch(/^gradwire certs DIR/);
    expect(existsSync(join(place, '--help'))).toBe(false);
  });
});

test('the command line', () => {
  expect(parseCertsOptions(['d'])).toEqual({
    folder: 'd',
    hosts: [['localhost', '127.0.0.1', '::1']],
    days: 365,
    isForced: false,
  });
  expect(parseCertsOptions(['--force', '--host=a,b', 'd', '-h'])).toBe('help');
});

test.each([
  [[], /no folder given/],
  [['a', 'b'], /takes one folder/],
  [['a', '--host'], /--host takes names/],
  [['a', '--host', '../x'], /not '..\/x'/],
  [['a', '--host', 'a b'], /not 'a b'/],
  [['a', '--host', 'x,'], /not 'x,'/],
  [['a', '--host', 'x', '--host', 'X,y'], /--host x would have another's names/],
  [['a', '--host', 'ca'], /--host ca would have/],
  [['a', '--days', '0'], /--days takes/],
  [['a', '--day', '1'], /unknown option --day/],
])('%j is refused', (args, message) => {
  expect(() => parseCertsOptions(args)).toThrow(message);
});
