/**
 * gRPC's standard health service: whether this worker has joined its group and not left it. It needs no token, since those
 * who ask it, kubelets and load balancers, have none, and it says nothing else.
 */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  type Server,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import {
  type HealthCheckRequest,
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
} from './gen/health_pb.ts';

const SERVICE = '/grpc.health.v1.Health/';
const SERVING = 1;
const NOT_SERVING = 2;
const SERVICE_UNKNOWN = 3;
/** Who can watch at a time. */
const MAX_WATCHERS = 64;

type Watcher = ServerWritableStream<HealthCheckRequest, number>;

/** Whether the method is one of the health service. */
export function isHealth(path: string): boolean {
  return path.startsWith(SERVICE);
}

export class Health {
  readonly #watchers = new Set<Watcher>();
  #status = NOT_SERVING;

  /** Adds the service to a server. */
  serve(server: Server): void {
    const read = (bytes: Buffer): HealthCheckRequest => fromBinary(HealthCheckRequestSchema, bytes);
    const write = (value: number): Buffer =>
      Buffer.from(
        toBinary(HealthCheckResponseSchema, create(HealthCheckResponseSchema, { status: value })),
      );
    const check = (
      { request }: ServerUnaryCall<HealthCheckRequest, number>,
      reply: sendUnaryData<number>,
    ): void => {
      if (request.service === '') reply(null, this.#status);
      else reply({ code: status.NOT_FOUND, details: 'ask for the empty service' });
    };
    server.register(`${SERVICE}Check`, check, write, read, 'unary');
    const watch = (call: Watcher): void => this.#watch(call);
    server.register(`${SERVICE}Watch`, watch, write, read, 'serverStream');
  }

  /** The worker has joined its group. */
  joined(): void {
    this.#set(SERVING);
  }

  /** The worker leaves, and nobody watches it any longer. */
  close(): void {
    this.#set(NOT_SERVING);
    for (const watcher of this.#watchers) watcher.end();
    this.#watchers.clear();
  }

  #set(value: number): void {
    if (this.#status === value) return;
    this.#status = value;
    for (const watcher of this.#watchers) watcher.write(value);
  }

  #watch(call: Watcher): void {
    if (this.#watchers.size >= MAX_WATCHERS) {
      const details = `${MAX_WATCHERS} others watch the health of this worker`;
      call.emit('error', { code: status.RESOURCE_EXHAUSTED, details });
      return;
    }
    call.on('cancelled', () => this.#watchers.delete(call));
    if (call.request.service === '') {
      call.write(this.#status);
      this.#watchers.add(call);
    } else {
      call.write(SERVICE_UNKNOWN);
      call.end();
    }
  }
}
