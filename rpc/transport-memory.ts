/**
 * Carrier between workers of one process: the same frames as any other, handed over in later turns of the event loop.
 * For tests, and for several workers in one process.
 */
import { GradwireError } from '../errors.ts';
import type {
  Connection,
  ConnectionHandlers,
  JoinRequest,
  Member,
  NodeOptions,
  PeerIdentity,
  Transport,
  TransportNode,
} from './transport.ts';

const SEGMENT_BYTES = 256 * 1024;
/** Bytes under way at which a writer is asked to wait. */
const HIGH_WATER_BYTES = 1024 * 1024;

/** A network of its own: workers find each other by master address and port within one instance. */
export class MemoryTransport implements Transport {
  readonly name: string = 'memory';
  readonly #nodes = new Map<string, MemoryNode>();

  start(options: NodeOptions): Promise<TransportNode> {
    const master = `${options.masterAddr}:${options.masterPort}`;
    const address = options.rank === 0 ? master : `${master}/${options.incarnation}`;
    if (this.#nodes.has(address)) {
      const message = `port ${options.masterPort} is taken by another group`;
      return Promise.reject(new GradwireError('address_in_use', message, { stage: 'init' }));
    }
    const node = new MemoryNode(this.#nodes, master, address, options);
    this.#nodes.set(address, node);
    return Promise.resolve(node);
  }
}

class MemoryNode implements TransportNode {
  readonly #nodes: Map<string, MemoryNode>;
  readonly #master: string;
  readonly #address: string;
  readonly #options: NodeOptions;

  constructor(
    nodes: Map<string, MemoryNode>,
    master: string,
    address: string,
    options: NodeOptions,
  ) {
    this.#nodes = nodes;
    this.#master = master;
    this.#address = address;
    this.#options = options;
  }

  async join(timeoutMs: number): Promise<readonly Member[]> {
    const { name, rank, worldSize, incarnation } = this.#options;
    const request: JoinRequest = { name, rank, worldSize, incarnation, timeoutMs };
    const deadline = performance.now() + timeoutMs;
    let master = this.#nodes.get(this.#master);
    while (master === undefined && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      master = this.#nodes.get(this.#master);
    }
    if (master === undefined) {
      const message = `no rank 0 at ${this.#master} within ${timeoutMs / 1000} s`;
      throw new GradwireError('init_timeout', message, { stage: 'init' });
    }
    const { group } = master.#options;
    if (group === undefined) throw new Error('the node of rank 0 was started without a group');
    const expiry = setTimeout(
      () => group.expire(rank, incarnation, timeoutMs),
      Math.max(0, deadline - performance.now()),
    );
    try {
      return await group.join({ ...request, address: this.#address });
    } finally {
      clearTimeout(expiry);
    }
  }

  dial(member: Member): Promise<Connection> {
    const node = this.#nodes.get(member.address);
    if (node === undefined) {
      const message = `${member.name} is not there`;
      return Promise.reject(new GradwireError('unavailable', message, { peer: member.name }));
    }
    const { rank, incarnation } = this.#options;
    const [mine, theirs] = connectionPair(member, { rank, incarnation });
    node.#options.accept(theirs);
    return Promise.resolve(mine);
  }

  close(): Promise<void> {
    this.#nodes.delete(this.#address);
    this.#options.group?.close();
    return Promise.resolve();
  }
}

/** Two ends of one connection: the first has `peerOfFirst` at its other end. */
export function connectionPair(
  peerOfFirst: PeerIdentity,
  peerOfSecond: PeerIdentity,
): [Connection, Connection] {
  const first = new MemoryConnection(peerOfFirst);
  const second = new MemoryConnection(peerOfSecond);
  first.other = second;
  second.other = first;
  return [first, second];
}

class MemoryConnection implements Connection {
  readonly peer: PeerIdentity;
  readonly segmentBytes: number = SEGMENT_BYTES;
  other: MemoryConnection | undefined;
  #handlers: ConnectionHandlers | undefined;
  readonly #arrived: Uint8Array[] = [];
  #arrivedBytes = 0;
  #isScheduled = false;
  #isEnding = false;
  #isClosed = false;

  constructor(peer: PeerIdentity) {
    this.peer = peer;
  }

  start(handlers: ConnectionHandlers): void {
    this.#handlers = handlers;
    this.#schedule();
  }

  write(chunk: Uint8Array): boolean {
    const other = this.other;
    if (this.#isClosed || other === undefined) return true;
    other.#arrived.push(chunk);
    other.#arrivedBytes += chunk.byteLength;
    other.#schedule();
    return other.#arrivedBytes < HIGH_WATER_BYTES;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const other = this.other;
    if (other !== undefined) {
      other.#isEnding = true;
      other.#schedule();
    }
    setImmediate(() => this.#handlers?.close(undefined));
  }

  /** The other end has taken what was under way. */
  drained(): void {
    this.#handlers?.drain();
  }

  #schedule(): void {
    if (this.#isScheduled || this.#handlers === undefined) return;
    this.#isScheduled = true;
    setImmediate(() => this.#deliver());
  }

  #deliver(): void {
    this.#isScheduled = false;
    const chunks = this.#arrived.splice(0);
    const wasFull = this.#arrivedBytes >= HIGH_WATER_BYTES;
    this.#arrivedBytes = 0;
    for (const chunk of chunks) if (!this.#isClosed) this.#handlers?.data(chunk);
    if (wasFull) setImmediate(() => this.other?.drained());
    if (this.#isEnding && !this.#isClosed) {
      this.#isClosed = true;
      this.#handlers?.close(undefined);
    }
  }
}
