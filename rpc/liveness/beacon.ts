/**
 * The listening end of liveness links: lets in who proves the token, and sends beats as often as was asked for. A stranger
 * can hold a connection for a short time (grpc/listener.ts), with one frame at most.
 */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { Listener } from '../grpc/listener.ts';
import type { TlsCredentials } from '../tls-credentials.ts';
import {
  challenge,
  FRAME_BYTES,
  FrameCutter,
  LinkFault,
  NONCE_BYTES,
  readHello,
  type Said,
  Session,
  SessionKeys,
} from './frame.ts';

/** How long a last word may take to leave. */
const FAREWELL_MS = 1_000;
/** Links that are let in, of all workers of the process. */
const MOST_SESSIONS = 10_000;
const LEAST_INTERVAL_MS = 20;
const MOST_INTERVAL_MS = 60_000;
/** Beats that a stopped observer leaves unread. */
const MOST_UNREAD_BYTES = 256 * FRAME_BYTES;

/** A worker of this process, as those see it that watch it. */
export interface Watchable {
  readonly token: string | undefined;
  /** For how many ms this incarnation was silent when the worker gave it up, if it did. */
  fencedFor(incarnation: string): number | undefined;
  /** One that watches this worker has come; the one before it with the same name is over. */
  opened(from: string, session: OpenSession): void;
  closed(from: string, session: OpenSession): void;
  said(from: string, said: Said): void;
}

export interface BeaconOptions {
  readonly host: string;
  readonly port: number;
  readonly tls: TlsCredentials | undefined;
  find(incarnation: string): Watchable | undefined;
  /** For how many ms the main thread of this process has been computing. */
  busyMs(): number;
}

export class Beacon {
  readonly #listener: Listener;
  readonly #options: BeaconOptions;
  #sessions = 0;

  private constructor(listener: Listener, options: BeaconOptions) {
    this.#listener = listener;
    this.#options = options;
  }

  /** @throws GradwireError (as rejection) `address_in_use`, `invalid_argument` */
  static async open(options: BeaconOptions): Promise<Beacon> {
    let greet = (socket: Socket): unknown => socket.destroy();
    const take = (socket: Socket): unknown => greet(socket);
    const listener = await Listener.listen({ ...options, take });
    const beacon = new Beacon(listener, options);
    greet = (socket) => beacon.#greet(socket);
    return beacon;
  }

  get port(): number {
    return this.#listener.port;
  }

  close(): void {
    void this.#listener.close();
    this.#listener.cut();
  }

  #greet(socket: Socket): void {
    const nonce = randomBytes(NONCE_BYTES);
    const cutter = new FrameCutter();
    let take = (frame: Buffer): void => {
      take = this.#admit(socket, nonce, frame);
    };
    socket.on('data', (chunk) => {
      try {
        cutter.push(chunk, (frame) => take(frame));
      } catch (error) {
        socket.destroy();
        if (!(error instanceof LinkFault)) throw error;
      }
    });
    socket.write(challenge(nonce));
  }

  /** @returns what takes the frames that follow. @throws LinkFault */
  #admit(socket: Socket, nonce: Buffer, frame: Buffer): (frame: Buffer) => void {
    const said = readHello(frame);
    const worker = this.#options.find(said.to);
    if (worker?.token === undefined) throw new LinkFault('nobody here has this name');
    const keys = new SessionKeys(worker.token, nonce, said);
    keys.check(frame, 'dialler');
    if (this.#sessions >= MOST_SESSIONS) throw new LinkFault('too many links');
    this.#listener.admit(socket.remoteAddress, socket.remotePort);
    this.#sessions++;
    socket.once('close', () => this.#sessions--);
    const session = new OpenSession(socket, new Session(keys, 'listener'), this.#options);
    const silentMs = worker.fencedFor(said.from);
    if (silentMs !== undefined) {
      session.end({ type: 'fenced', silentMs });
      return () => {};
    }
    session.beatEvery(Math.min(Math.max(said.intervalMs, LEAST_INTERVAL_MS), MOST_INTERVAL_MS));
    socket.once('close', () => worker.closed(said.from, session));
    worker.opened(said.from, session);
    return (next) => worker.said(said.from, session.read(next));
  }
}

/** A link on which its dialler has proved who it is. */
export class OpenSession {
  readonly #socket: Socket;
  readonly #session: Session;
  readonly #options: Pick<BeaconOptions, 'busyMs'>;

  constructor(socket: Socket, session: Session, options: Pick<BeaconOptions, 'busyMs'>) {
    this.#socket = socket;
    this.#session = session;
    this.#options = options;
  }

  beatEvery(intervalMs: number): void {
    this.send({ type: 'welcome' });
    const timer = setInterval(() => {
      if (this.#socket.writableLength > MOST_UNREAD_BYTES) this.#socket.destroy();
      else this.send({ type: 'beat', busyMs: this.#options.busyMs() });
    }, intervalMs);
    this.#socket.once('close', () => clearInterval(timer));
  }

  /** @throws LinkFault */
  read(frame: Buffer): Said {
    return this.#session.read(frame);
  }

  send(said: Said): void {
    if (!this.#socket.writableEnded) this.#socket.write(this.#session.write(said));
  }

  /** Says a last word. */
  end(said?: Said): void {
    if (said !== undefined) this.send(said);
    this.#socket.end();
    const timer = setTimeout(() => this.#socket.destroy(), FAREWELL_MS);
    this.#socket.once('close', () => clearTimeout(timer));
  }
}
