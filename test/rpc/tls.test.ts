import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { resolveOptions } from '../../rpc/options.ts';
import { checkTlsHost, clientTls, loadTls, serverTls, tlsGiven } from '../../rpc/tls.ts';
import { TestAuthority } from '../support/certificates.ts';

const folder = mkdtempSync(join(tmpdir(), 'gradwire-tls-'));
afterAll(() => rmSync(folder, { recursive: true }));

const authority = new TestAuthority();
const stranger = new TestAuthority();
const good = authority.credentials();

/** The credentials as files. */
function files(credentials: typeof good, keyMode = 0o600): typeof good {
  const place = mkdtempSync(join(folder, 'x-'));
  const paths = {
    cert: join(place, 'c.pem'),
    key: join(place, 'k.pem'),
    ca: join(place, 'ca.pem'),
  };
  for (const field of ['cert', 'key', 'ca'] as const) {
    writeFileSync(paths[field], credentials[field]);
  }
  chmodSync(paths.key, keyMode);
  return paths;
}

describe('what is given', () => {
  const env = { GRADWIRE_TLS_CERT: 'c', GRADWIRE_TLS_KEY: 'k', GRADWIRE_TLS_CA: 'a' };

  test('options come before variables, and nothing is nothing', () => {
    expect(tlsGiven(undefined, {})).toBeUndefined();
    expect(tlsGiven(undefined, env)).toEqual({ cert: 'c', key: 'k', ca: 'a' });
    expect(tlsGiven({ cert: 'mine' }, env)).toEqual({ cert: 'mine', key: 'k', ca: 'a' });
    expect(resolveOptions({ name: 'w', rank: 0 }, env).tls).toEqual({
      cert: 'c',
      key: 'k',
      ca: 'a',
    });
  });

  test('a part of it is named with what is missing', () => {
    expect(() => tlsGiven(undefined, { GRADWIRE_TLS_CERT: 'c', GRADWIRE_TLS_KEY: '' })).toThrow(
      /^invalid_argument: TLS needs cert, key and ca: tls.key \(GRADWIRE_TLS_KEY\) and tls.ca .* is missing/,
    );
    expect(() => tlsGiven({}, {})).toThrow(/tls.cert .*tls.key .*tls.ca/);
    for (const none of [null, 5, 'x']) expect(() => tlsGiven(none as never, {})).toThrow(/takes {/);
    expect(() => tlsGiven({ ...good, key: 5 as never }, {})).toThrow(/tls.key is neither/);
  });

  test('lets a group span hosts, with a token', () => {
    const away = { name: 'w', rank: 0, masterAddr: '10.0.0.1', tls: good };
    expect(resolveOptions({ ...away, token: 't' }, {}).masterAddr).toBe('10.0.0.1');
    expect(() => resolveOptions(away, {})).toThrow(/needs a token/);
  });
});

describe('loading', () => {
  test('files and texts come to the same', () => {
    expect(loadTls(good)).toEqual(good);
    expect(loadTls(files(good))).toEqual(good);
    expect(loadTls({ ...good, ca: stranger.ca + good.ca }).ca).toContain(good.ca);
  });

  test.each([
    ['a missing file', { ...good, ca: '/nowhere/ca.pem' }, /_CA \/nowhere\/ca.pem .*no such file/],
    ['a folder', { ...good, cert: folder }, /GRADWIRE_TLS_CERT .* cannot be read/],
    ['no certificate', { ...good, cert: '-----BEGIN NOTHING-----' }, /tls.cert has no certificate/],
    ['no key', { ...good, key: good.cert }, /tls.key has no private key/],
    [
      'another key',
      { ...good, key: authority.credentials().key },
      /tls.key is not the key of tls.cert/,
    ],
    ['another authority', { ...good, ca: stranger.ca }, /signed by CN=gradwire .* not in tls.ca/],
    ['an expired one', authority.credentials(['localhost'], -1), /tls.cert has expired, at /],
    ['a certificate as authority', { ...good, ca: good.cert }, /which is not in tls.ca/],
  ])('%s is refused, and said', (_, credentials, message) => {
    expect(() => loadTls(credentials)).toThrow(/^invalid_argument/);
    expect(() => loadTls(credentials)).toThrow(message);
  });

  test('a key that others can read is refused, and no error has a key in it', () => {
    for (const mode of [0o640, 0o604]) {
      expect(() => loadTls(files(good, mode))).toThrow(/can be read by others: chmod 600/);
    }
    const broken = good.key.replace('\n', '\nAAAA');
    expect(() => loadTls({ ...good, key: broken })).toThrow(/^((?!AAAA)[\s\S])*$/);
  });
});

test('a worker must be reached by a name of its certificate', () => {
  for (const host of ['localhost', '127.0.0.1', '::1']) checkTlsHost(good, host);
  for (const host of ['10.0.0.1', 'example.com', 'localhost.evil', '127.0.0.2']) {
    expect(() => checkTlsHost(good, host)).toThrow(/is not for .*; it is for: DNS:localhost/);
  }
  const [named] = [authority.credentials(['node1.lan', '10.0.0.7'])];
  checkTlsHost(named, 'node1.lan');
  checkTlsHost(named, '10.0.0.7');
  expect(() => checkTlsHost(named, 'node2.lan')).toThrow(/^invalid_argument/);
});

test('what goes to node:tls asks for both certificates, and no older TLS', () => {
  expect(serverTls(good)).toMatchObject({
    minVersion: 'TLSv1.3',
    requestCert: true,
    rejectUnauthorized: true,
    handshakeTimeout: 5_000,
  });
  expect(clientTls(good, 'node1')).toMatchObject({ minVersion: 'TLSv1.3', servername: 'node1' });
  // An address is no name for TLS.
  expect(clientTls(good, '10.0.0.7').servername).toBe('gradwire');
  expect(structuredClone(loadTls(good))).toEqual(good);
});
