/**
 * The dialling end of a liveness link: asks one peer for beats, and dials again for as long as nobody closes it. What
 * silence means is suspicion.ts's business.
 */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import type { TlsCredentials } from '../tls-credentials.ts';
import {
  FrameCutter,
  type Hello,
  hello,
  LinkFault,
  NONCE_BYTES,
  readChallenge,
  type Said,
  Session,
  SessionKeys,
} from './frame.ts';
import { dial } from './socket.ts';

const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 500;
/** How long a peer may take to answer. */
const HANDSHAKE_MS = 1_000;
/** How long what was said last may take to leave. */
const FAREWELL_MS = 1_000;

export interface LinkOptions extends Omit<Hello, 'nonce'> {
  readonly address: string;
  readonly token: string;
  readonly tls: TlsCredentials | undefined;
  /** The peer has said something. */
  said(said: Said): void;
}

export class Link {
  /** Why the peer cannot be reached, if that is so. */
  fault: string | undefined;
  readonly #options: LinkOptions;
  #socket: Socket | undefined;
  #session: Session | undefined;
  #timer: NodeJS.Timeout | undefined;
  #retryMs = FIRST_RETRY_MS;
  #isClosed = false;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#dial();
  }

  /** Lost if the link is not open. */
  send(said: Said): void {
    if (this.#session !== undefined) this.#socket?.write(this.#session.write(said));
  }

  /** Tries a new connection: the one that there is may lead nowhere. */
  renew(): void {
    this.#socket?.destroy();
  }

  /** Ends the link once what was said has left; bounded. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    const socket = this.#socket;
    socket?.end();
    this.#timer = setTimeout(() => socket?.destroy(), FAREWELL_MS);
    socket?.once('close', () => clearTimeout(this.#timer));
    if (socket === undefined) clearTimeout(this.#timer);
  }

  #dial(): void {
    const { address, tls } = this.#options;
    const socket = dial(address, tls);
    this.#socket = socket;
    this.#timer = setTimeout(() => socket.destroy(new Error('no answer')), HANDSHAKE_MS);
    const cutter = new FrameCutter();
    let take = (frame: Buffer): void => {
      const answer = this.#greet(readChallenge(frame));
      take = (next) => this.#heard(answer.session.read(next), answer.session);
      socket.write(answer.frame);
    };
    socket.on('data', (chunk) => {
      try {
        cutter.push(chunk, (frame) => take(frame));
      } catch (error) {
        socket.destroy(error as Error);
        if (!(error instanceof LinkFault)) throw error;
      }
    });
    socket.on('error', (error) => {
      this.fault = error.message;
    });
    socket.once('close', () => this.#lost());
  }

  #greet(challenge: Buffer): { readonly frame: Buffer; readonly session: Session } {
    const { from, to, rank, intervalMs, token } = this.#options;
    const said = { nonce: randomBytes(NONCE_BYTES), from, to, rank, intervalMs };
    const keys = new SessionKeys(token, challenge, said);
    return { frame: hello(said, keys), session: new Session(keys, 'dialler') };
  }

  #heard(said: Said, session: Session): void {
    if (this.#session === undefined) {
      clearTimeout(this.#timer);
      this.#session = session;
      this.#retryMs = FIRST_RETRY_MS;
      this.fault = undefined;
    }
    this.#options.said(said);
  }

  #lost(): void {
    this.#socket = undefined;
    this.#session = undefined;
    clearTimeout(this.#timer);
    if (this.#isClosed) return;
    this.fault ??= 'the link was closed';
    this.#timer = setTimeout(() => this.#dial(), this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
  }
}
