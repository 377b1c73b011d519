/**
 * The port of a worker: plain or TLS. Who connects is a stranger until a call has shown the token: strangers are few at a
 * time, and none stays for long. Knows nothing of HTTP/2. Carries guarantee G4.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { debuglog } from 'node:util';
import { GradwireError } from '../../errors.ts';
import { HANDSHAKE_TIMEOUT_MS, serverTls } from '../tls.ts';
import type { TlsCredentials } from '../tls-credentials.ts';

const debug = debuglog('gradwire');

/** Strangers at a time, of one address and of all. A joining worker is one for some milliseconds. */
const MAX_STRANGERS_OF_ADDRESS = 256;
const MAX_STRANGERS = 1_024;
/** A timer that is late by so much was held up by computing. */
const STALL_MS = 500;

export interface ListenOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly tls: TlsCredentials | undefined;
  /** How long a stranger may stay. Default: 5 s. */
  readonly patienceMs?: number;
  /** Takes over a connection; over TLS, of someone whose certificate was accepted. */
  readonly take: (socket: Socket) => void;
}

interface Guest {
  socket: Socket;
  readonly address: string;
  isStranger: boolean;
  /** Ends the connection of a stranger. */
  patience: NodeJS.Timeout;
}

export class Listener {
  readonly port: number;
  readonly #server: Server;
  readonly #guests: Guests;

  private constructor(server: Server, guests: Guests) {
    this.#server = server;
    this.#guests = guests;
    const address = server.address();
    this.port = typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** @throws GradwireError `address_in_use`, `invalid_argument` */
  static async listen(options: ListenOptions): Promise<Listener> {
    const guests = new Guests(options.patienceMs ?? HANDSHAKE_TIMEOUT_MS);
    const server = options.tls === undefined ? plain(options, guests) : secure(options, guests);
    await bind(server, options);
    return new Listener(server, guests);
  }

  /** Connections that are open. */
  get size(): number {
    return this.#guests.size;
  }

  /** Whoever is at the other end of that connection is no stranger any more. */
  admit(address: string | undefined, port: number | undefined): void {
    this.#guests.admit(keyOf(address, port));
  }

  /** That connection may stay, although it is a stranger's. */
  tolerate(address: string | undefined, port: number | undefined): void {
    this.#guests.tolerate(keyOf(address, port));
  }

  /** Takes no new connections. Resolves when all are over. */
  close(): Promise<void> {
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  /** Cuts all connections. */
  cut(): void {
    this.#guests.cut();
  }
}

/** The connections of one listener. */
class Guests {
  readonly #all = new Map<string, Guest>();
  readonly #strangersOf = new Map<string, number>();
  #strangers = 0;
  readonly #patienceMs: number;

  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs;
  }

  get size(): number {
    return this.#all.size;
  }

  /** False: there are too many strangers, and the connection is over. */
  enter(socket: Socket): boolean {
    const address = socket.remoteAddress ?? '';
    const others = this.#strangersOf.get(address) ?? 0;
    if (others >= MAX_STRANGERS_OF_ADDRESS || this.#strangers >= MAX_STRANGERS) {
      debug('a connection of %s is refused: %d others have not shown the token', address, others);
      socket.destroy();
      return false;
    }
    const key = keyOf(address, socket.remotePort);
    const guest: Guest = {
      socket,
      address,
      isStranger: true,
      patience: patience(() => guest, this.#patienceMs),
    };
    this.#strangersOf.set(address, others + 1);
    this.#strangers++;
    this.#all.set(key, guest);
    this.#follow(key, socket);
    return true;
  }

  /** The connection goes on by another socket on top of the first. */
  replace(socket: Socket): void {
    const key = keyOf(socket.remoteAddress, socket.remotePort);
    const guest = this.#all.get(key);
    if (guest === undefined) return;
    guest.socket = socket;
    this.#follow(key, socket);
  }

  admit(key: string): void {
    const guest = this.#all.get(key);
    if (guest?.isStranger !== true) return;
    clearTimeout(guest.patience);
    guest.isStranger = false;
    this.#strangers--;
    const left = (this.#strangersOf.get(guest.address) ?? 1) - 1;
    if (left === 0) this.#strangersOf.delete(guest.address);
    else this.#strangersOf.set(guest.address, left);
  }

  tolerate(key: string): void {
    clearTimeout(this.#all.get(key)?.patience);
  }

  cut(): void {
    for (const { socket } of this.#all.values()) socket.destroy();
  }

  #follow(key: string, socket: Socket): void {
    socket.on('error', (error) => debug('a connection of %s failed: %s', key, error.message));
    socket.once('close', () => {
      this.admit(key);
      this.#all.delete(key);
    });
  }
}

/** Time in which this worker computed, and heard nobody, is not the stranger's. */
function patience(guest: () => Guest, patienceMs: number): NodeJS.Timeout {
  const dueAt = performance.now() + patienceMs;
  return setTimeout(() => {
    const one = guest();
    if (performance.now() - dueAt < STALL_MS) one.socket.destroy();
    else one.patience = patience(guest, patienceMs);
  }, patienceMs);
}

function keyOf(address: string | undefined, port: number | undefined): string {
  return `${address} ${port}`;
}

function plain({ take }: ListenOptions, guests: Guests): Server {
  return createServer({ noDelay: true }, (socket) => {
    if (guests.enter(socket)) take(socket);
  });
}

function secure({ take, tls }: ListenOptions, guests: Guests): Server {
  const options = tls === undefined ? {} : serverTls(tls);
  const server = createTlsServer({ ...options, ALPNProtocols: ['h2'] }, (socket) => {
    guests.replace(socket);
    take(socket);
  });
  server.prependListener('connection', (socket: Socket) => {
    socket.setNoDelay(true);
    guests.enter(socket);
  });
  server.on('tlsClientError', (error, socket) => {
    debug('a connection is refused: %s', socket.authorizationError ?? error.message);
    socket.destroy();
  });
  return server;
}

function bind(server: Server, { host, port }: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const isTaken = error.code === 'EADDRINUSE';
      const message = isTaken
        ? `port ${port} of ${host} is taken by another process: stop it, or choose another masterPort`
        : `cannot listen on ${host}:${port}: ${error.message}`;
      const code = isTaken ? 'address_in_use' : 'invalid_argument';
      reject(new GradwireError(code, message, { stage: 'init', cause: error }));
    });
    server.listen(port, host, () => resolve());
  });
}
