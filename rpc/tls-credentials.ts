/** What a worker proves itself by over TLS. Types only, and none of Node's: they are part of the package's own. */

/** Each a PEM text or the path of a file that has it. */
export interface TlsCredentials {
  /** This worker's certificate, with those between it and the authority, if there are any. */
  readonly cert: string;
  /** Its private key, without a passphrase; as a file, readable by this user alone. */
  readonly key: string;
  /** The authorities whose certificates are accepted from others. */
  readonly ca: string;
}
