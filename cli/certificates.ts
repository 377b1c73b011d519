/**
 * Issues X.509 certificates for development: an authority, and certificates of workers that it signs, by RFC 5280. Keys are
 * P-256. The form is the library's, keys and signatures are Node's. Writes no files.
 */
import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';
import { isIP } from 'node:net';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import * as asn1 from '@peculiar/asn1-x509';

/** A certificate with its key, both PEM texts. */
export interface Issued {
  readonly cert: string;
  readonly key: string;
}

const COMMON_NAME = '2.5.4.3';
const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2';
const DAY_MS = 86_400_000;
/** Clocks of other hosts may be behind. */
const CLOCK_SKEW_MS = 300_000;

/**
 * An authority of its own, whose certificates are accepted by whoever trusts it.
 *
 * @param depth how many authorities may stand between it and a worker
 * @param above the authority that signs its certificate; by default it does so itself
 */
export function makeAuthority(days: number, depth = 0, above?: Issued): Issued {
  const pair = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const name = commonName(`gradwire development ${randomBytes(4).toString('hex')}`);
  const { keyCertSign, cRLSign } = asn1.KeyUsageFlags;
  const extensions = [
    critical(
      asn1.id_ce_basicConstraints,
      new asn1.BasicConstraints({ cA: true, pathLenConstraint: depth }),
    ),
    critical(asn1.id_ce_keyUsage, new asn1.KeyUsage(keyCertSign | cRLSign)),
    extension(
      asn1.id_ce_subjectKeyIdentifier,
      new asn1.SubjectKeyIdentifier(keyId(pair.publicKey)),
    ),
  ];
  const issuer = above === undefined ? name : subjectOf(above);
  const signer = above === undefined ? pair.privateKey : createPrivateKey(above.key);
  const cert = issue({
    ...{ subject: name, issuer, publicKey: pair.publicKey, signer },
    ...{ extensions, until: Date.now() + days * DAY_MS },
  });
  return { cert, key: pemOf(pair.privateKey) };
}

/**
 * A certificate of a worker, as server and client, for all of the DNS names and IP addresses; valid no longer than the
 * authority's own.
 */
export function makeCertificate(
  authority: Issued,
  names: readonly [string, ...string[]],
  days: number,
): Issued {
  const pair = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const parent = new X509Certificate(authority.cert);
  const alternatives = names.map(
    (name) => new asn1.GeneralName(isIP(name) === 0 ? { dNSName: name } : { iPAddress: name }),
  );
  const purposes = [asn1.id_kp_serverAuth, asn1.id_kp_clientAuth];
  const parentId = new asn1.KeyIdentifier(keyId(parent.publicKey));
  const extensions = [
    critical(asn1.id_ce_basicConstraints, new asn1.BasicConstraints({ cA: false })),
    critical(asn1.id_ce_keyUsage, new asn1.KeyUsage(asn1.KeyUsageFlags.digitalSignature)),
    extension(asn1.id_ce_extKeyUsage, new asn1.ExtendedKeyUsage(purposes)),
    extension(asn1.id_ce_subjectAltName, new asn1.SubjectAlternativeName(alternatives)),
    extension(
      asn1.id_ce_subjectKeyIdentifier,
      new asn1.SubjectKeyIdentifier(keyId(pair.publicKey)),
    ),
    extension(
      asn1.id_ce_authorityKeyIdentifier,
      new asn1.AuthorityKeyIdentifier({ keyIdentifier: parentId }),
    ),
  ];
  const cert = issue({
    ...{ subject: commonName(names[0].slice(0, 64)), issuer: subjectOf(authority), extensions },
    ...{ publicKey: pair.publicKey, signer: createPrivateKey(authority.key) },
    until: Math.min(Date.now() + days * DAY_MS, Date.parse(parent.validTo)),
  });
  return { cert, key: pemOf(pair.privateKey) };
}

function subjectOf({ cert }: Issued): asn1.Name {
  return AsnConvert.parse(new X509Certificate(cert).raw, asn1.Certificate).tbsCertificate.subject;
}

interface Wanted {
  readonly subject: asn1.Name;
  readonly issuer: asn1.Name;
  readonly publicKey: KeyObject;
  readonly signer: KeyObject;
  readonly extensions: asn1.Extension[];
  /** By the wall clock. */
  readonly until: number;
}

function issue({ subject, issuer, publicKey, signer, extensions, until }: Wanted): string {
  const algorithm = new asn1.AlgorithmIdentifier({ algorithm: ECDSA_WITH_SHA256 });
  const tbsCertificate = new asn1.TBSCertificate({
    version: asn1.Version.v3,
    serialNumber: bytes(serialNumber()),
    signature: algorithm,
    validity: new asn1.Validity({
      notBefore: new Date(Date.now() - CLOCK_SKEW_MS),
      notAfter: new Date(until),
    }),
    subjectPublicKeyInfo: AsnConvert.parse(spki(publicKey), asn1.SubjectPublicKeyInfo),
    extensions: new asn1.Extensions(extensions),
    ...{ subject, issuer },
  });
  const signed = Buffer.from(AsnConvert.serialize(tbsCertificate));
  const certificate = new asn1.Certificate({
    tbsCertificate,
    signatureAlgorithm: algorithm,
    signatureValue: bytes(sign('sha256', signed, signer)),
  });
  return new X509Certificate(Buffer.from(AsnConvert.serialize(certificate))).toString();
}

/** Twenty bytes, positive and without a leading zero. */
function serialNumber(): Buffer {
  const serial = randomBytes(20);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  return serial;
}

function commonName(text: string): asn1.Name {
  const value = new asn1.AttributeValue({ utf8String: text });
  const attribute = new asn1.AttributeTypeAndValue({ type: COMMON_NAME, value });
  return new asn1.Name([new asn1.RelativeDistinguishedName([attribute])]);
}

function extension(extnID: string, value: unknown, isCritical = false): asn1.Extension {
  const extnValue = new OctetString(AsnConvert.serialize(value));
  return new asn1.Extension({ extnID, critical: isCritical, extnValue });
}

function critical(extnID: string, value: unknown): asn1.Extension {
  return extension(extnID, value, true);
}

function spki(key: KeyObject): Buffer {
  return key.export({ type: 'spki', format: 'der' });
}

function keyId(key: KeyObject): ArrayBuffer {
  return bytes(createHash('sha256').update(spki(key)).digest().subarray(0, 20));
}

function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** The library takes whole buffers alone. */
function bytes(view: Uint8Array): ArrayBuffer {
  return Uint8Array.from(view).buffer;
}
