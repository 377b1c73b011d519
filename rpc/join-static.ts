/** How a worker joins a group of fixed size: all meet at rank 0, then each pair connects. */
import { GradwireError } from '../errors.ts';
import { Group } from './group.ts';
import { type Joining, meetMaster, startNode } from './joining.ts';
import type { Connection, Member, TransportNode } from './transport.ts';
import { WorkerNode } from './worker.ts';

/** Resolves when all members of the group are there and connected. */
export async function joinStatic(joining: Joining): Promise<WorkerNode> {
  const { options, deadline, liveness } = joining;
  const early = new EarlyConnections();
  const group = options.rank === 0 ? new Group(options.worldSize) : undefined;
  const node = await startNode(joining, group, (connection) => early.add(connection));
  try {
    const members = await meetMaster(joining, node);
    const worker = new WorkerNode(options, members, { close: () => node.close(), liveness });
    early.attachAll(worker, members);
    try {
      await connect(worker, { node, members, early, deadline });
    } catch (error) {
      await worker.shutdown({ graceful: false });
      throw error;
    }
    node.ready?.();
    return worker;
  } catch (error) {
    early.close();
    await node.close();
    throw error;
  }
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
  const dials = lower.map(async (member) => {
    worker.attach(await node.dial(member, left()), member);
  });
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
      const member = members.find((m) => m.rank === rank && m.incarnation === incarnation);
      if (member === undefined || this.#attached.has(rank)) return connection.close();
      this.#attached.add(rank);
      worker.attach(connection, member);
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
