/**
 * The listening end of liveness links: lets in who proves the token, and sends beats as often as was asked for. What a
 * stranger can hold is bounded: a few connections, each for a short time and with one frame at most.
 */
import { randomBytes } from 'node:crypto';
import type { Server, Socket } from 'node:net';
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
import { listen, portOf } from './socket.ts';

/** How long a stranger may take to say who it is. */
const HANDSHAKE_MS = 2_000;
/** Strangers at a time; one more takes the place of the oldest. */
const MOST_STRANGERS = 64;
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

export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  find(incarnation: string): Watchable | undefined;
  /** For how many ms the main thread of this process has been computing. */
  busyMs(): number;
}

export class Listener {
  readonly port: number;
  readonly #server: Server;
  readonly #options: ListenerOptions;
  readonly #strangers = new Set<Socket>();
  readonly #sessions = new Set<Socket>();

  private constructor(server: Server, options: ListenerOptions) {
    this.#server = server;
    this.#options = options;
    this.port = portOf(server);
  }

  /** @throws Error (as rejection) if the port cannot be had */
  static async open(options: ListenerOptions): Promise<Listener> {
    let take = (socket: Socket): unknown => socket.destroy();
    const server = await listen(options.host, options.port, (socket) => take(socket));
    const listener = new Listener(server, options);
    take = (socket) => listener.#greet(socket);
    return listener;
  }

  close(): void {
    this.#server.close();
    for (const socket of [...this.#strangers, ...this.#sessions]) socket.destroy();
  }

  #greet(socket: Socket): void {
    const [oldest] = this.#strangers;
    if (this.#strangers.size >= MOST_STRANGERS) oldest?.destroy();
    this.#strangers.add(socket);
    const timer = setTimeout(() => socket.destroy(), HANDSHAKE_MS);
    const nonce = randomBytes(NONCE_BYTES);
    const cutter = new FrameCutter();
    let take = (frame: Buffer): void => {
      clearTimeout(timer);
      take = this.#admit(socket, nonce, frame);
    };
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      try {
        cutter.push(chunk, (frame) => take(frame));
      } catch (error) {
        socket.destroy();
        if (!(error instanceof LinkFault)) throw error;
      }
    });
    socket.once('close', () => {
      clearTimeout(timer);
      this.#strangers.delete(socket);
      this.#sessions.delete(socket);
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
    if (this.#sessions.size >= MOST_SESSIONS) throw new LinkFault('too many links');
    this.#strangers.delete(socket);
    this.#sessions.add(socket);
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
  readonly #options: Pick<ListenerOptions, 'busyMs'>;

  constructor(socket: Socket, session: Session, options: Pick<ListenerOptions, 'busyMs'>) {
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
    const timer = setTimeout(() => this.#socket.destroy(), HANDSHAKE_MS);
    this.#socket.once('close', () => clearTimeout(timer));
  }
}
