/** Certificates of authorities that live as long as a test. */
import { type Issued, makeAuthority, makeCertificate } from '../../cli/certificates.ts';
import type { TlsCredentials } from '../../rpc/tls-credentials.ts';

const LOOPBACK = ['localhost', '127.0.0.1', '::1'] as const;

export class TestAuthority {
  readonly #issued: Issued = makeAuthority(2);

  get ca(): string {
    return this.#issued.cert;
  }

  /** What a worker that is reached by these names needs. @param days less than 0: it has expired */
  credentials(names: readonly [string, ...string[]] = LOOPBACK, days = 1): TlsCredentials {
    return { ...makeCertificate(this.#issued, names, days), ca: this.ca };
  }
}
