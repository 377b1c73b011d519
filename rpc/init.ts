/** Joins a group: checks the options, starts the engine and the carrier, meets the others and connects to each. */
import { channel } from 'node:diagnostics_channel';
import { v7 as uuidv7 } from 'uuid';
import { GradwireError } from '../errors.ts';
import { outside, startEngine } from '../tensor/index.ts';
import { GrpcTransport } from './grpc/transport.ts';
import { type InitOptions, localProcesses, resolveOptions } from './options.ts';
import type { Connection, Member, Transport, TransportNode } from './transport.ts';
import { MemoryTransport } from './transport-memory.ts';
import { WorkerNode } from './worker.ts';
import type { Worker } from './worker-api.ts';

const CARRIERS: Readonly<Record<'grpc' | 'memory', Transport>> = {
  grpc: new GrpcTransport(),
  memory: new MemoryTransport(),
};

/** Tells whoever watches this process, such as the launcher, as whom it has joined: `{ name }`. */
const JOINED = channel('gradwire.worker');

/**
 * Joins the group and resolves when all its members are there and connected. Every process calls it once per worker,
 * after it has registered what the others may call. Leave by `await using`, `worker.shutdown()` or `rpc.shutdown()`.
 * PyTorch: `torch.distributed.rpc.init_rpc`.
 *
 * @throws GradwireError `invalid_argument`, `init_timeout` naming who is missing, `duplicate_name`, `duplicate_rank`,
 * `group_mismatch`, `address_in_use`, `insecure_address`, `unauthenticated`, `engine_unavailable`
 */
export async function init(options: InitOptions): Promise<Worker> {
  const resolved = resolveOptions(options, process.env);
  await startEngine(resolved.engine, localProcesses(resolved));
  const { transport, initTimeoutMs } = resolved;
  const carrier = typeof transport === 'string' ? CARRIERS[transport] : transport;
  // Sockets keep the asynchronous flow in which they were made: none of the user's.
  return outside(async () => {
    const deadline = performance.now() + initTimeoutMs;
    const early = new EarlyConnections();
    const incarnation = uuidv7();
    const node = await carrier.start({
      ...resolved,
      incarnation,
      host: resolved.host,
      token: resolved.token,
      accept: (connection) => early.add(connection),
    });
    try {
      const members = await node.join(initTimeoutMs);
      const worker = new WorkerNode(resolved, members, () => node.close());
      early.attachAll(worker, members);
      try {
        await connect(worker, { node, members, early, deadline });
      } catch (error) {
        await worker.shutdown({ graceful: false });
        throw error;
      }
      JOINED.publish({ name: resolved.name });
      return worker;
    } catch (error) {
      early.close();
      await node.close();
      throw error;
    }
  });
}

interface Connecting {
  readonly node: TransportNode;
  readonly members: readonly Member[];
  readonly early: EarlyConnections;
  /** By `performance.now()`. */
  readonly deadline: number;
}

/** Each pair is connected once: the higher rank dials the lower. */
async function connect(
  worker: WorkerNode,
  { node, members, early, deadline }: Connecting,
): Promise<void> {
  const self = worker.info.id;
  const left = (): number => Math.max(1, deadline - performance.now());
  const lower = members.filter(({ rank }) => rank < self);
  const dials = lower.map(async (member) => worker.attach(await node.dial(member, left())));
  // None may succeed after this has failed.
  const outcomes = await Promise.allSettled(dials);
  const failure = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
  const higher = members.filter(({ rank }) => rank > self).map(({ rank }) => rank);
  const missing = await early.all(higher, left());
  if (missing.length === 0) return;
  const names = missing.map((rank) => worker.nameOf(rank)).join(', ');
  throw new GradwireError('init_timeout', `${names} joined but did not connect in time`, {
    peer: names,
    stage: 'init',
  });
}

/** Connections may come before this worker knows who its members are. */
class EarlyConnections {
  readonly #waiting: Connection[] = [];
  readonly #attached = new Set<number>();
  #take: ((connection: Connection) => void) | undefined;
  #changed: () => void = () => {};

  add(connection: Connection): void {
    if (this.#take === undefined) this.#waiting.push(connection);
    else this.#take(connection);
  }

  /** From now on connections go to the worker, if they come from a member. */
  attachAll(worker: WorkerNode, members: readonly Member[]): void {
    this.#take = (connection) => {
      const { rank, incarnation } = connection.peer;
      const isMember = members.some((m) => m.rank === rank && m.incarnation === incarnation);
      if (!isMember || this.#attached.has(rank)) return connection.close();
      this.#attached.add(rank);
      worker.attach(connection);
      this.#changed();
    };
    for (const connection of this.#waiting.splice(0)) this.#take(connection);
  }

  /** Nobody takes connections any more. */
  close(): void {
    this.#take = (connection) => connection.close();
    for (const connection of this.#waiting.splice(0)) connection.close();
  }

  /** Resolves when all `ranks` are connected, or with those that are not after `timeoutMs`. */
  all(ranks: readonly number[], timeoutMs: number): Promise<readonly number[]> {
    const missing = (): number[] => ranks.filter((rank) => !this.#attached.has(rank));
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(missing()), timeoutMs);
      this.#changed = () => {
        if (missing().length > 0) return;
        clearTimeout(timer);
        resolve([]);
      };
      this.#changed();
    });
  }
}
