/**
 * A carrier whose connections pass through chaos proxies, one for each worker that is dialled, and one for the master. For
 * carriers whose addresses are `host:port`. Knows nothing of messages.
 */
import { GradwireError } from '../../errors.ts';
import type { Connection, Member, NodeOptions, Transport, TransportNode } from '../transport.ts';
import { ChaosProxy } from './chaos-proxy.ts';
import type { ConnectionFaults, FaultPlan } from './fault-plan.ts';

/** The carrier as it is, unless the plan has rules about connections. @throws GradwireError `invalid_argument` */
export function withFaults(carrier: Transport, plan: FaultPlan | undefined): Transport {
  if (plan?.connectionsOf({ name: '', rank: 0 }) === undefined) return carrier;
  if (carrier.name !== 'memory') return new FaultyTransport(carrier, plan);
  const message = 'rules about connections need a carrier over sockets, and memory is none';
  throw new GradwireError('invalid_argument', message, { stage: 'init' });
}

class FaultyTransport implements Transport {
  readonly name: string;
  /** Heartbeats go their own way, beside the proxies. */
  readonly carriesLiveness: boolean;
  readonly #inner: Transport;
  readonly #plan: FaultPlan;

  constructor(inner: Transport, plan: FaultPlan) {
    this.name = inner.name;
    this.carriesLiveness = inner.carriesLiveness ?? false;
    this.#inner = inner;
    this.#plan = plan;
  }

  async start(options: NodeOptions): Promise<TransportNode> {
    const faults = this.#plan.connectionsOf(options);
    if (faults === undefined) return this.#inner.start(options);
    const proxies = new Proxies(faults, this.#plan.seed);
    try {
      // The file of the token goes by the port of the master: without a token that has to be the true one.
      if (options.rank === 0 || options.token === undefined) {
        return new FaultyNode(await this.#inner.start(options), proxies);
      }
      const { host, port } = await proxies.to(options.masterAddr, options.masterPort, 0);
      const behind = { ...options, masterAddr: host, masterPort: port };
      return new FaultyNode(await this.#inner.start(behind), proxies);
    } catch (error) {
      await proxies.close();
      throw error;
    }
  }
}

class FaultyNode implements TransportNode {
  readonly #inner: TransportNode;
  readonly #proxies: Proxies;

  constructor(inner: TransportNode, proxies: Proxies) {
    this.#inner = inner;
    this.#proxies = proxies;
  }

  get secret(): string | undefined {
    return this.#inner.secret;
  }

  join(timeoutMs: number, liveness?: string): Promise<readonly Member[]> {
    return this.#inner.join(timeoutMs, liveness);
  }

  async dial(member: Member, timeoutMs: number): Promise<Connection> {
    const [, host, port] = /^\[?([^\]]*)\]?:(\d+)$/.exec(member.address) ?? [];
    if (host === undefined) {
      const message = `the address of ${member.name}, ${member.address}, is not of the form host:port`;
      throw new GradwireError('invalid_argument', message, { stage: 'init' });
    }
    const { address } = await this.#proxies.to(host, Number(port), member.rank);
    return this.#inner.dial({ ...member, address }, timeoutMs);
  }

  async close(): Promise<void> {
    try {
      await this.#inner.close();
    } finally {
      await this.#proxies.close();
    }
  }
}

/** The proxies of one worker, which live as long as its node. */
class Proxies {
  readonly #faults: ConnectionFaults;
  readonly #seed: number;
  readonly #all = new Map<string, Promise<ChaosProxy>>();

  constructor(faults: ConnectionFaults, seed: number) {
    this.#faults = faults;
    this.#seed = seed;
  }

  to(host: string, port: number, rank: number): Promise<ChaosProxy> {
    const key = `${host} ${port}`;
    const known = this.#all.get(key);
    if (known !== undefined) return known;
    const each = () => this.#faults.next(rank);
    const proxy = ChaosProxy.listen({ host, port, each, seed: this.#seed });
    this.#all.set(key, proxy);
    return proxy;
  }

  async close(): Promise<void> {
    const proxies = await Promise.allSettled(this.#all.values());
    await Promise.all(
      proxies.map((proxy) => (proxy.status === 'fulfilled' ? proxy.value.close() : undefined)),
    );
  }
}
