/** Certificates of authorities that live as long as a test. */
import { type Issued, makeAuthority, makeCertificate } from '../../cli/certificates.ts';
import type { TlsCredentials } from '../../rpc/tls-credentials.ts';

const LOOPBACK = ['localhost', '127.0.0.1', '::1'] as const;

export class TestAuthority {
  readonly #issued: Issued;
  readonly #above: TestAuthority | undefined;

  /** @param above signs its certificate: then workers show both, and trust that one alone */
  constructor(above?: TestAuthority) {
    this.#above = above;
    this.#issued = above === undefined ? makeAuthority(2, 1) : makeAuthority(2, 0, above.#issued);
  }

  get ca(): string {
    return this.#above?.ca ?? this.#issued.cert;
  }

  /** What a worker that is reached by these names needs. @param days less than 0: it has expired */
  credentials(names: readonly [string, ...string[]] = LOOPBACK, days = 1): TlsCredentials {
    const { cert, key } = makeCertificate(this.#issued, names, days);
    const chain = this.#above === undefined ? cert : cert + this.#issued.cert;
    return { cert: chain, key, ca: this.ca };
  }
}
