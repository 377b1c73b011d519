/**
 * A worker's gRPC server: one port, the token checked before a body is read, the rendezvous on rank 0, and the streams that
 * peers open. Carries guarantee G4.
 */

import type { Http2Server, ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { GradwireError, isGradwireError } from '../../errors.ts';
import type { TlsCredentials } from '../tls-credentials.ts';
import type { Connection, Rendezvous } from '../transport.ts';
import { GrpcConnection } from './connection.ts';
import { Gate } from './gate.ts';
import type { JoinReply, JoinRequest } from './gen/gradwire_pb.ts';
import { Health, isHealth } from './health.ts';
import { Listener } from './listener.ts';
import { CRC32, JOIN, METADATA, OPEN, SERVER_OPTIONS, WINDOW_BYTES } from './service.ts';

/** How long answers may hold up the end of the server. */
const CLOSE_GRACE_MS = 500;
/** What timers can count. */
const MAX_PATIENCE_MS = 2 ** 31 - 1;
/** Connections that one rank may have at a time: one, and those that a broken or refused one leaves behind for a while. */
const MAX_STREAMS_OF_RANK = 8;

export interface GrpcServerOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly token: () => string | undefined;
  readonly tls: TlsCredentials | undefined;
  /** The book of the group, on rank 0. */
  readonly group: Rendezvous | undefined;
  readonly accept: (connection: Connection) => void;
}

export class GrpcServer {
  readonly port: number;
  readonly #listener: Listener;
  readonly #server: Server;
  readonly #health: Health;

  private constructor(listener: Listener, server: Server, health: Health) {
    this.#listener = listener;
    this.#server = server;
    this.#health = health;
    this.port = listener.port;
  }

  /** @throws GradwireError `address_in_use` */
  static async listen(options: GrpcServerOptions): Promise<GrpcServer> {
    const door = {
      admit: (call: ConnectionInfo) => listener.admit(call.remoteAddress, call.remotePort),
      tolerate: (call: ConnectionInfo) => listener.tolerate(call.remoteAddress, call.remotePort),
    };
    const health = new Health();
    const server = makeServer(options, door);
    health.serve(server);
    // TLS is spoken below: what is injected has been decrypted, and its certificate accepted.
    const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
    widenWindows(server);
    const { host, port, tls } = options;
    const take = (socket: Socket): void => injector.injectConnection(socket);
    const listener = await Listener.listen({ host, port, tls, take });
    return new GrpcServer(listener, server, health);
  }

  /** Its worker has joined: those who ask for its health hear so. */
  joined(): void {
    this.#health.joined();
  }

  /** Sends the answers that are under way, then cuts what is left. */
  async close(): Promise<void> {
    this.#health.close();
    const closed = this.#listener.close();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, CLOSE_GRACE_MS);
      this.#server.tryShutdown(() => {
        clearTimeout(timer);
        resolve();
      });
    });
    this.#server.forceShutdown();
    this.#listener.cut();
    await closed;
  }
}

type ConnectionInfo = ReturnType<ServerInterceptingCallInterface['getConnectionInfo']>;

/** What becomes of the connection of a call. */
interface Door {
  /** It is a member's. */
  admit(connection: ConnectionInfo): void;
  /** It may stay, as a stranger's. */
  tolerate(connection: ConnectionInfo): void;
}

function makeServer(options: GrpcServerOptions, door: Door): Server {
  const gate = new Gate(options.token);
  const server = new Server({
    ...SERVER_OPTIONS,
    interceptors: [
      ({ path }, call) =>
        new ServerInterceptingCall(call, {
          start: (next) =>
            next({
              onReceiveMetadata: (metadata, proceed) => {
                const connection = call.getConnectionInfo();
                if (isHealth(path)) {
                  door.tolerate(connection);
                  return proceed(metadata);
                }
                const refusal = gate.refusal(metadata, connection.remoteAddress);
                if (refusal !== undefined) {
                  return call.sendStatus({ code: status.UNAUTHENTICATED, details: refusal });
                }
                door.admit(connection);
                proceed(metadata);
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
  const streams = new Map<number, number>();
  const open = (stream: ServerDuplexStream<Buffer, Buffer>): void => {
    const rank = Number(stream.metadata.get(METADATA.rank)[0]);
    const incarnation = String(stream.metadata.get(METADATA.incarnation)[0]);
    const others = streams.get(rank) ?? 0;
    if (others >= MAX_STREAMS_OF_RANK) {
      const details = `${others} connections of rank ${rank} are open`;
      stream.emit('error', { code: status.RESOURCE_EXHAUSTED, details });
      return;
    }
    streams.set(rank, others + 1);
    const release = (): void => {
      const left = (streams.get(rank) ?? 1) - 1;
      if (left === 0) streams.delete(rank);
      else streams.set(rank, left);
    };
    stream.sendMetadata(new Metadata());
    const checksums = stream.metadata.get(METADATA.checksum)[0] === CRC32;
    const peer = { rank, incarnation };
    options.accept(new GrpcConnection(stream, peer, { checksums, release }));
  };
  server.register(OPEN.path, open, OPEN.responseSerialize, OPEN.requestDeserialize, 'bidi');
  return server;
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
