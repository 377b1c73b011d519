/**
 * Certificates of a worker: read from files or text, checked before anything is started, and made into what node:tls takes
 * for listening and for dialling. What `loadTls` gives is plain data and can be handed to a thread. Knows nothing of gRPC.
 * Carries guarantee G4 beyond this host.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate, type TlsOptions } from 'node:tls';
import { GradwireError } from '../errors.ts';
import type { TlsCredentials } from './tls-credentials.ts';

type Field = keyof TlsCredentials;
type Environment = Readonly<Record<string, string | undefined>>;

const VARIABLES: Readonly<Record<Field, string>> = {
  cert: 'GRADWIRE_TLS_CERT',
  key: 'GRADWIRE_TLS_KEY',
  ca: 'GRADWIRE_TLS_CA',
};
const FIELDS = Object.keys(VARIABLES) as Field[];
/** The name that a client asks for where the peer is known by its IP address, which TLS forbids as a name. */
const NAME_OF_ADDRESSES = 'gradwire';
/** How long a stranger may take to make itself known. */
export const HANDSHAKE_TIMEOUT_MS = 5_000;

/** What was given by option or else by environment. @throws GradwireError `invalid_argument` if it is not whole */
export function tlsGiven(
  given: Partial<TlsCredentials> | undefined,
  env: Environment,
): TlsCredentials | undefined {
  if (given !== undefined && (typeof given !== 'object' || given === null)) {
    throw invalid('tls takes { cert, key, ca }, each a PEM text or a path');
  }
  const values = FIELDS.map((field) => given?.[field] ?? env[VARIABLES[field]] ?? '');
  const missing = FIELDS.filter((_, i) => values[i] === '');
  if (missing.length === FIELDS.length && given === undefined) return undefined;
  if (missing.length > 0) {
    const names = missing.map((field) => `tls.${field} (${VARIABLES[field]})`).join(' and ');
    throw invalid(`TLS needs cert, key and ca: ${names} is missing`);
  }
  for (const [i, value] of values.entries()) {
    if (typeof value !== 'string') throw invalid(`tls.${FIELDS[i]} is neither a text nor a path`);
  }
  const [cert, key, ca] = values as [string, string, string];
  return { cert, key, ca };
}

/**
 * Reads and checks what was given; the result has PEM texts alone.
 *
 * @throws GradwireError `invalid_argument`: a file that cannot be read or that others can, a key of another certificate,
 * a certificate that is not valid now or that the authority has not signed
 */
export function loadTls(given: TlsCredentials): TlsCredentials {
  const loaded = { cert: read('cert', given), key: read('key', given), ca: read('ca', given) };
  const [leaf, ...between] = certificates('cert', loaded.cert, given);
  const authorities = certificates('ca', loaded.ca, given);
  if (leaf === undefined) throw invalid(`${say('cert', given)} has no certificate`);
  checkKey(leaf, loaded.key, given);
  checkTime(leaf, say('cert', given));
  const authority = issuerOf(leaf, between, authorities);
  if (authority === undefined) {
    throw invalid(
      `${say('cert', given)} was signed by ${nameOf(leaf.issuer)}, which is not in ${say('ca', given)}`,
    );
  }
  checkTime(authority, say('ca', given));
  return loaded;
}

/**
 * Others dial this worker at `host` and accept a certificate for that name or address alone.
 *
 * @throws GradwireError `invalid_argument`
 */
export function checkTlsHost({ cert }: TlsCredentials, host: string): void {
  const fault = checkServerIdentity(host, new X509Certificate(cert).toLegacyObject());
  if (fault === undefined) return;
  const names = new X509Certificate(cert).subjectAltName ?? 'none';
  throw invalid(
    `the certificate (${VARIABLES.cert}) is not for ${host}, where the others reach this worker; it is for: ${names}`,
  );
}

/** For a listener: only peers with a certificate of the authority finish the handshake. */
export function serverTls({ cert, key, ca }: TlsCredentials): TlsOptions {
  return {
    ...{ cert, key, ca, minVersion: 'TLSv1.3', handshakeTimeout: HANDSHAKE_TIMEOUT_MS },
    requestCert: true,
    rejectUnauthorized: true,
  };
}

/** What a dialler of node:tls takes. */
export interface ClientTls extends TlsCredentials {
  readonly minVersion: 'TLSv1.3';
  readonly servername: string;
  readonly checkServerIdentity: (name: string, certificate: PeerCertificate) => Error | undefined;
}

/** For a dialler: only a listener with a certificate of the authority, for this name or IP address, is accepted. */
export function clientTls({ cert, key, ca }: TlsCredentials, host: string): ClientTls {
  return {
    ...{ cert, key, ca, minVersion: 'TLSv1.3' },
    servername: isIP(host) === 0 ? host : NAME_OF_ADDRESSES,
    checkServerIdentity: (_, peer) => checkServerIdentity(host, peer),
  };
}

function read(field: Field, given: TlsCredentials): string {
  const value = given[field];
  if (isPem(value)) return value;
  try {
    if (field === 'key' && process.platform !== 'win32' && (statSync(value).mode & 0o077) !== 0) {
      throw invalid(`${say(field, given)} can be read by others: chmod 600 ${value}`);
    }
    return readFileSync(value, 'utf8');
  } catch (error) {
    if (error instanceof GradwireError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'there is no such file' : message;
    throw invalid(`${say(field, given)} cannot be read: ${why}`);
  }
}

function isPem(value: string): boolean {
  return value.includes('-----BEGIN ');
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

function certificates(field: Field, pem: string, given: TlsCredentials): X509Certificate[] {
  try {
    const found = [...pem.matchAll(CERTIFICATE)].map(([text]) => new X509Certificate(text));
    if (found.length > 0) return found;
  } catch {
    // The same as none.
  }
  throw invalid(`${say(field, given)} has no certificate in PEM form`);
}

function checkKey(leaf: X509Certificate, pem: string, given: TlsCredentials): void {
  let isOurs: boolean;
  try {
    isOurs = leaf.checkPrivateKey(createPrivateKey(pem));
  } catch {
    throw invalid(`${say('key', given)} has no private key in PEM form without a passphrase`);
  }
  if (!isOurs) throw invalid(`${say('key', given)} is not the key of ${say('cert', given)}`);
}

function checkTime({ validFrom, validTo }: X509Certificate, what: string): void {
  const now = Date.now();
  if (now > Date.parse(validTo)) throw invalid(`${what} has expired, at ${validTo}`);
  if (now < Date.parse(validFrom)) throw invalid(`${what} is not valid before ${validFrom}`);
}

/** The authority at the end of the chain of `leaf`, if the chain is whole. */
function issuerOf(
  leaf: X509Certificate,
  between: readonly X509Certificate[],
  authorities: readonly X509Certificate[],
): X509Certificate | undefined {
  const signed = (by: X509Certificate): boolean =>
    leaf.checkIssued(by) && leaf.verify(by.publicKey);
  const authority = authorities.find(signed);
  if (authority !== undefined) return authority;
  const [next] = between.filter(signed);
  if (next === undefined) return undefined;
  return issuerOf(
    next,
    between.filter((other) => other !== next),
    authorities,
  );
}

function nameOf(subject: string): string {
  return subject.replaceAll('\n', ', ');
}

/** The path, or the name of the option where the text itself was given. */
function say(field: Field, given: TlsCredentials): string {
  return isPem(given[field]) ? `tls.${field}` : `${VARIABLES[field]} ${given[field]}`;
}

function invalid(message: string): GradwireError {
  return new GradwireError('invalid_argument', message, { stage: 'init' });
}
