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
import { sameToken } from '../security.ts';
import type { TlsCredentials } from '../tls-credentials.ts';
import type { Connection, Rendezvous } from '../transport.ts';
import { GrpcConnection } from './connection.ts';
import type { JoinReply, JoinRequest } from './gen/gradwire_pb.ts';
import { Listener } from './listener.ts';
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
  readonly tls: TlsCredentials | undefined;
  /** The book of the group, on rank 0. */
  readonly group: Rendezvous | undefined;
  readonly accept: (connection: Connection) => void;
}

export class GrpcServer {
  readonly port: number;
  readonly #listener: Listener;
  readonly #server: Server;

  private constructor(listener: Listener, server: Server) {
    this.#listener = listener;
    this.#server = server;
    this.port = listener.port;
  }

  /** @throws GradwireError `address_in_use` */
  static async listen(options: GrpcServerOptions): Promise<GrpcServer> {
    const admit = (call: ServerInterceptingCallInterface): void => {
      const { remoteAddress, remotePort } = call.getConnectionInfo();
      listener.admit(remoteAddress, remotePort);
    };
    const server = makeServer(options, admit);
    // TLS is spoken below: what is injected has been decrypted, and its certificate accepted.
    const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
    widenWindows(server);
    const { host, port, tls } = options;
    const take = (socket: Socket): void => injector.injectConnection(socket);
    const listener = await Listener.listen({ host, port, tls, take });
    return new GrpcServer(listener, server);
  }

  /** Sends the answers that are under way, then cuts what is left. */
  async close(): Promise<void> {
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

function makeServer(
  options: GrpcServerOptions,
  admit: (call: ServerInterceptingCallInterface) => void,
): Server {
  const server = new Server({
    ...SERVER_OPTIONS,
    interceptors: [
      (_method, call) =>
        new ServerInterceptingCall(call, {
          start: (next) =>
            next({
              onReceiveMetadata: (metadata, proceed) => {
                const refusal = refuse(metadata, options.token());
                if (refusal !== undefined) {
                  return call.sendStatus({ code: status.UNAUTHENTICATED, details: refusal });
                }
                admit(call);
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
