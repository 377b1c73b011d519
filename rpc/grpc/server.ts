/**
 * A worker's gRPC server: one port, the token checked before a body is read, the rendezvous on rank 0, and the streams that
 * peers open. Carries guarantee G4.
 */

import type { Http2Server, ServerHttp2Session } from 'node:http2';
import { createServer, type Server as NetServer, type Socket } from 'node:net';
import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  ServerInterceptingCall,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { GradwireError, isGradwireError } from '../../errors.ts';
import { sameToken } from '../security.ts';
import type { Connection, Rendezvous } from '../transport.ts';
import { GrpcConnection } from './connection.ts';
import type { JoinReply, JoinRequest } from './gen/gradwire_pb.ts';
import { JOIN, METADATA, OPEN, PROTOCOL, SERVER_OPTIONS, WINDOW_BYTES } from './service.ts';

/** How long answers may hold up the end of the server. */
const CLOSE_GRACE_MS = 500;
/** What timers can count. */
const MAX_PATIENCE_MS = 2 ** 31 - 1;

export interface GrpcServerOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly token: () => string | undefined;
  /** The book of the group, on rank 0. */
  readonly group: Rendezvous | undefined;
  readonly accept: (connection: Connection) => void;
}

export class GrpcServer {
  readonly port: number;
  readonly #listener: NetServer;
  readonly #server: Server;
  readonly #sockets: Set<Socket>;

  private constructor(listener: NetServer, server: Server, sockets: Set<Socket>) {
    this.#listener = listener;
    this.#server = server;
    this.#sockets = sockets;
    const address = listener.address();
    this.port = typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** @throws GradwireError `address_in_use` */
  static async listen(options: GrpcServerOptions): Promise<GrpcServer> {
    const server = makeServer(options);
    const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
    widenWindows(server);
    const sockets = new Set<Socket>();
    const listener = createServer({ noDelay: true }, (socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      injector.injectConnection(socket);
    });
    await bind(listener, options);
    return new GrpcServer(listener, server, sockets);
  }

  /** Sends the answers that are under way, then cuts what is left. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#listener.close(() => resolve()));
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, CLOSE_GRACE_MS);
      this.#server.tryShutdown(() => {
        clearTimeout(timer);
        resolve();
      });
    });
    this.#server.forceShutdown();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

function makeServer(options: GrpcServerOptions): Server {
  const server = new Server({
    ...SERVER_OPTIONS,
    interceptors: [
      (_method, call) =>
        new ServerInterceptingCall(call, {
          start: (next) =>
            next({
              onReceiveMetadata: (metadata, proceed) => {
                const refusal = refuse(metadata, options.token());
                if (refusal === undefined) proceed(metadata);
                else call.sendStatus({ code: status.UNAUTHENTICATED, details: refusal });
              },
            }),
        }),
    ],
  });
  server.register(
    JOIN.path,
    (call: ServerUnaryCall<JoinRequest, JoinReply>, reply: sendUnaryData<object>) => {
      join(options.group, call).then(
        (answer) => reply(null, answer),
        (error: Error) => reply({ code: status.INTERNAL, details: error.message }),
      );
    },
    JOIN.responseSerialize,
    JOIN.requestDeserialize,
    'unary',
  );
  const open = (stream: ServerDuplexStream<Buffer, Buffer>): void => {
    const rank = Number(stream.metadata.get(METADATA.rank)[0]);
    const incarnation = String(stream.metadata.get(METADATA.incarnation)[0]);
    stream.sendMetadata(new Metadata());
    options.accept(new GrpcConnection(stream, { rank, incarnation }));
  };
  server.register(OPEN.path, open, OPEN.responseSerialize, OPEN.requestDeserialize, 'bidi');
  return server;
}

function refuse(metadata: Metadata, token: string | undefined): string | undefined {
  const given = metadata.get(METADATA.token)[0];
  if (token === undefined || given === undefined || !sameToken(String(given), token)) {
    return 'the token of the run is missing or wrong';
  }
  const protocol = metadata.get(METADATA.protocol)[0];
  if (protocol === PROTOCOL) return undefined;
  return `this worker speaks protocol ${PROTOCOL}, the caller ${protocol}: use the same gradwire everywhere`;
}

/** The group's answer to one worker; refusals are answers too. */
async function join(
  group: Rendezvous | undefined,
  call: ServerUnaryCall<JoinRequest, JoinReply>,
): Promise<object> {
  const { rank, incarnation, timeoutMs } = call.request;
  const patienceMs = Math.min(timeoutMs, MAX_PATIENCE_MS);
  const expiry = setTimeout(() => group?.expire(rank, incarnation, patienceMs), patienceMs);
  call.once('cancelled', () => group?.leave(rank, incarnation));
  try {
    if (group === undefined) throw new GradwireError('group_mismatch', 'this worker is not rank 0');
    const members = await group.join(call.request);
    return { members };
  } catch (error) {
    if (!isGradwireError(error)) throw error;
    return { refusal: { code: error.code, message: error.message } };
  } finally {
    clearTimeout(expiry);
  }
}

/** grpc-js has no option for a server's window (fixed at 64 KB), so each session is told as it comes. */
function widenWindows(server: Server): void {
  const { http2Servers } = server as unknown as { http2Servers?: Map<Http2Server, unknown> };
  for (const http2Server of http2Servers?.keys() ?? []) {
    http2Server.on('session', (session: ServerHttp2Session) => {
      session.settings({ initialWindowSize: WINDOW_BYTES });
      session.setLocalWindowSize(WINDOW_BYTES);
    });
  }
}

function bind(listener: NetServer, { host, port }: GrpcServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    listener.once('error', (error: NodeJS.ErrnoException) => {
      const isTaken = error.code === 'EADDRINUSE';
      const message = isTaken
        ? `port ${port} of ${host} is taken by another process: stop it, or choose another masterPort`
        : `cannot listen on ${host}:${port}: ${error.message}`;
      const code = isTaken ? 'address_in_use' : 'invalid_argument';
      reject(new GradwireError(code, message, { stage: 'init', cause: error }));
    });
    listener.listen(port, host, () => resolve());
  });
}
