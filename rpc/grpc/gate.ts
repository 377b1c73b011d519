/**
 * Who may call a worker, decided by the metadata of a call, before its body is read: who knows the token and speaks the same
 * protocol. Carries guarantee G4.
 */
import type { Metadata } from '@grpc/grpc-js';
import { isLoopback, sameToken } from '../security.ts';
import { METADATA, PROTOCOL } from './service.ts';

/** Wrong tokens of one address that cost it nothing. */
const FREE_GUESSES = 5;
const FIRST_PAUSE_MS = 1_000;
const LAST_PAUSE_MS = 60_000;
/** Addresses that are remembered. */
const MAX_ADDRESSES = 1_000;

interface Guesses {
  count: number;
  /** Until when calls of the address are not heard, by the clock. */
  until: number;
}

/**
 * After a few wrong tokens calls of an address are refused for a while, right or wrong: longer each time. Not on loopback,
 * where everybody has the same address, and a stranger could lock the members out.
 */
export class WrongTokens {
  readonly #guesses = new Map<string, Guesses>();
  readonly #now: () => number;

  /** @param now ms of a clock that never goes back */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** For how long, in ms, the address is not heard. */
  pauseMs(address: string): number {
    return Math.max(0, (this.#guesses.get(address)?.until ?? 0) - this.#now());
  }

  wrong(address: string): void {
    if (isLoopback(address)) return;
    const guesses = this.#guesses.get(address) ?? { count: 0, until: 0 };
    guesses.count++;
    const over = guesses.count - FREE_GUESSES;
    if (over > 0) {
      guesses.until = this.#now() + Math.min(FIRST_PAUSE_MS * 2 ** (over - 1), LAST_PAUSE_MS);
    }
    // The latest stand last, and the first is forgotten.
    this.#guesses.delete(address);
    this.#guesses.set(address, guesses);
    const [oldest] = this.#guesses.keys();
    if (this.#guesses.size > MAX_ADDRESSES && oldest !== undefined) this.#guesses.delete(oldest);
  }

  right(address: string): void {
    this.#guesses.delete(address);
  }
}

export class Gate {
  readonly #token: () => string | undefined;
  readonly #wrong = new WrongTokens(() => performance.now());

  constructor(token: () => string | undefined) {
    this.#token = token;
  }

  /** Why a call from that address is refused, if it is. */
  refusal(metadata: Metadata, remoteAddress: string | undefined): string | undefined {
    // A listener on IPv6 sees addresses of IPv4 in this form.
    const address = (remoteAddress ?? '').replace(/^::ffff:/, '');
    const pauseMs = this.#wrong.pauseMs(address);
    if (pauseMs > 0) {
      return `too many wrong tokens came from this address: nothing is heard from it for ${Math.ceil(pauseMs / 1000)} s`;
    }
    const token = this.#token();
    const given = metadata.get(METADATA.token)[0];
    if (token === undefined || given === undefined || !sameToken(String(given), token)) {
      if (token !== undefined && given !== undefined) this.#wrong.wrong(address);
      return 'the token of the run is missing or wrong';
    }
    this.#wrong.right(address);
    const protocol = metadata.get(METADATA.protocol)[0];
    if (protocol === PROTOCOL) return undefined;
    return `this worker speaks protocol ${PROTOCOL}, the caller ${protocol}: use the same gradwire everywhere`;
  }
}
