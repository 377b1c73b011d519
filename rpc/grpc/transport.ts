/** Carrier over gRPC: works everywhere, between processes and hosts. */
import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { ERROR_CODES, type ErrorCode, GradwireError } from '../../errors.ts';
import { type TokenSource, tokenSource } from '../security.ts';
import type { Connection, Member, NodeOptions, Transport, TransportNode } from '../transport.ts';
import { clientTo, target, tlsFault } from './channel.ts';
import { GrpcConnection } from './connection.ts';
import type { JoinReply } from './gen/gradwire_pb.ts';
import { GrpcServer } from './server.ts';
import { CRC32, JOIN, METADATA, OPEN, PROTOCOL } from './service.ts';

/** Pause between attempts to reach a master that is not there yet. */
const RETRY_MS = 100;
/** How much longer than the master a worker waits, so that the master's answer, which names the missing, comes first. */
const ANSWER_GRACE_MS = 2_000;

export class GrpcTransport implements Transport {
  readonly name: string = 'grpc';
  readonly carriesLiveness: boolean = true;

  async start(options: NodeOptions): Promise<TransportNode> {
    const { rank, masterAddr, masterPort, token, group } = options;
    const isMaster = rank === 0;
    let tokens: TokenSource | undefined;
    const server = await GrpcServer.listen({
      host: isMaster ? masterAddr : (options.host ?? '127.0.0.1'),
      port: isMaster ? masterPort : 0,
      token: () => tokens?.read(),
      tls: options.tls,
      group,
      accept: options.accept,
    });
    try {
      tokens = tokenSource(token, masterPort, isMaster);
    } catch (error) {
      await server.close();
      throw error;
    }
    return new GrpcNode(options, server, tokens);
  }
}

class GrpcNode implements TransportNode {
  readonly #options: NodeOptions;
  readonly #server: GrpcServer;
  readonly #tokens: TokenSource;

  constructor(options: NodeOptions, server: GrpcServer, tokens: TokenSource) {
    this.#options = options;
    this.#server = server;
    this.#tokens = tokens;
  }

  get secret(): string | undefined {
    return this.#tokens.read();
  }

  async join(timeoutMs: number, liveness = ''): Promise<readonly Member[]> {
    const { name, rank, worldSize, incarnation, masterAddr, masterPort } = this.#options;
    const master = target(masterAddr, masterPort);
    const host = this.#options.host ?? (rank === 0 ? masterAddr : '127.0.0.1');
    const address = target(host, this.#server.port);
    const request = { name, rank, worldSize, incarnation, address, liveness };
    const { group } = this.#options;
    if (group !== undefined) {
      const expiry = setTimeout(() => group.expire(rank, incarnation, timeoutMs), timeoutMs);
      return group.join({ ...request, timeoutMs }).finally(() => clearTimeout(expiry));
    }
    const deadline = performance.now() + timeoutMs;
    let last: ServiceError | undefined;
    while (performance.now() < deadline) {
      const left = Math.max(1, Math.ceil(deadline - performance.now()));
      const answer = await this.#askMaster(master, { ...request, timeoutMs: left }, left);
      if (!(answer instanceof Error)) return answer.members;
      last = answer;
      if (!this.#mayRetry(answer)) break;
      const fault = await this.#fault(answer, master);
      if (fault !== undefined) {
        const message = `the master at ${master} cannot be joined: ${fault}`;
        throw new GradwireError('unauthenticated', message, { stage: 'init', cause: answer });
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
    if (last?.code === status.UNAUTHENTICATED) {
      const message = `the master at ${master} refused this worker: ${last.details}`;
      throw new GradwireError('unauthenticated', message, { stage: 'init' });
    }
    throw new GradwireError(
      'init_timeout',
      `rank 0 (the master at ${master}) did not answer within ${timeoutMs / 1000} s; ` +
        'start it, or check masterAddr and masterPort',
      { stage: 'init', cause: last },
    );
  }

  ready(): void {
    this.#server.joined();
  }

  async dial(member: Member, timeoutMs: number): Promise<Connection> {
    const client = clientTo(member.address, this.#options.tls);
    try {
      const stream = client.makeBidiStreamRequest(
        OPEN.path,
        OPEN.requestSerialize,
        OPEN.responseDeserialize,
        this.#openMetadata(),
      );
      // Refusals come as an error of the stream; acceptance as the server's metadata.
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => {
          stream.cancel();
          reject(new Error(`no answer within ${timeoutMs / 1000} s`));
        }, timeoutMs);
        stream.once('metadata', () => resolve());
        stream.on('error', reject);
        stream.once('metadata', () => clearTimeout(timer));
        stream.once('error', () => clearTimeout(timer));
      });
      const { checksums = false } = this.#options;
      const release = (): void => client.close();
      return new GrpcConnection(stream, member, { checksums, release });
    } catch (error) {
      client.close();
      const fault = await this.#fault(error as ServiceError, member.address);
      throw new GradwireError(
        fault === undefined ? 'unavailable' : 'unauthenticated',
        `cannot reach ${member.name} at ${member.address}: ${fault ?? (error as Error).message}`,
        { peer: member.name, stage: 'init', cause: error },
      );
    }
  }

  async close(): Promise<void> {
    this.#options.group?.close();
    this.#tokens.close();
    await this.#server.close();
  }

  /** One attempt to join. A refusal by the group is thrown, a failure to reach it is returned. */
  async #askMaster(
    master: string,
    request: object,
    timeoutMs: number,
  ): Promise<JoinReply | ServiceError> {
    const client = clientTo(master, this.#options.tls);
    const reply = await new Promise<JoinReply | ServiceError>((resolve) => {
      client.makeUnaryRequest(
        JOIN.path,
        JOIN.requestSerialize,
        JOIN.responseDeserialize,
        request,
        this.#metadata(),
        // The one limit that gRPC takes by the wall clock.
        { deadline: Date.now() + timeoutMs + ANSWER_GRACE_MS },
        (error, value) => resolve(error ?? (value as JoinReply)),
      );
    });
    client.close();
    if (reply instanceof Error || reply.refusal === undefined) return reply;
    const { code, message } = reply.refusal;
    const known = Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCode) : 'group_mismatch';
    throw new GradwireError(known, message.replace(`${code}: `, ''), { stage: 'init' });
  }

  /** What is wrong with certificates, where that is why a peer was not reached. */
  async #fault(error: ServiceError, address: string): Promise<string | undefined> {
    if (error.code !== status.UNAVAILABLE) return undefined;
    return await tlsFault(address, this.#options.tls);
  }

  #mayRetry(error: ServiceError): boolean {
    if (error.code === status.UNAUTHENTICATED) return this.#tokens.mayChange;
    return error.code === status.UNAVAILABLE || error.code === status.DEADLINE_EXCEEDED;
  }

  /** Whoever dials says whether the connection has checksums. */
  #openMetadata(): Metadata {
    const metadata = this.#metadata();
    if (this.#options.checksums) metadata.set(METADATA.checksum, CRC32);
    return metadata;
  }

  #metadata(): Metadata {
    const metadata = new Metadata();
    metadata.set(METADATA.token, this.#tokens.read() ?? 'none');
    metadata.set(METADATA.protocol, PROTOCOL);
    metadata.set(METADATA.rank, String(this.#options.rank));
    metadata.set(METADATA.incarnation, this.#options.incarnation);
    return metadata;
  }
}
