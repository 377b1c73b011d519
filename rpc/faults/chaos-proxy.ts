/**
 * A TCP proxy that makes connections as bad as is asked for, without privileges: for what cannot be injected above sockets.
 * Knows nothing of what passes.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { outside } from '../../tensor/index.ts';
import { OneWay } from './one-way.ts';
import { checkConditions, isHole, type ProxyConditions, type Way } from './proxy-conditions.ts';
import { seeded } from './seeded.ts';

/** Until how many bytes a connection lives that is to be lost. */
const LOST_WITHIN_BYTES = 256 * 1024;

export interface ChaosProxyOptions {
  /** Where the connections lead. */
  readonly host?: string;
  readonly port: number;
  /** Conditions of all connections; `set` changes them. Default: none. */
  readonly conditions?: ProxyConditions;
  /** Asked for each new connection: what holds for that one beside the conditions of all. */
  readonly each?: () => ProxyConditions;
  /** By which chance is drawn. Default: random. */
  readonly seed?: number;
}

interface Link {
  readonly up: OneWay;
  readonly down: OneWay;
  destroy(reset: boolean): void;
}

/**
 * Stands between who connects to `port` and the target. Belongs to who made it, who closes it (`await using`).
 */
export class ChaosProxy implements AsyncDisposable {
  readonly host: string = '127.0.0.1';
  readonly port: number;
  readonly #options: ChaosProxyOptions;
  readonly #server: Server;
  readonly #random: () => number;
  readonly #links = new Set<Link>();
  #conditions: ProxyConditions;
  #accepted = 0;

  private constructor(server: Server, options: ChaosProxyOptions) {
    this.#server = server;
    this.#options = options;
    this.#conditions = options.conditions ?? {};
    this.#random = seeded(options.seed ?? Math.floor(Math.random() * 2 ** 32));
    const address = server.address();
    this.port = typeof address === 'object' && address !== null ? address.port : 0;
    server.on('connection', (socket) => this.#accept(socket));
  }

  /** Listens on a free port of loopback. @throws GradwireError (as rejection) `invalid_argument` */
  static async listen(options: ChaosProxyOptions): Promise<ChaosProxy> {
    checkConditions(options.conditions ?? {});
    return await outside(async () => {
      const server = createServer({ allowHalfOpen: true, noDelay: true });
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(0, '127.0.0.1', resolve);
      });
      return new ChaosProxy(server, options);
    });
  }

  /** `host:port`, to connect to. */
  get address(): string {
    return `${this.host}:${this.port}`;
  }

  /** How many connections have come so far, those refused among them. */
  get acceptedCount(): number {
    return this.#accepted;
  }

  /** How many connections live. */
  get openCount(): number {
    return this.#links.size;
  }

  /** Other conditions for all connections; those that are not named are none. @throws GradwireError `invalid_argument` */
  set(conditions: ProxyConditions): void {
    this.#conditions = checkConditions(conditions);
    for (const { up, down } of this.#links) {
      up.update();
      down.update();
    }
  }

  /** Cuts all connections: both ends see a reset. */
  reset(): void {
    for (const link of this.#links) link.destroy(true);
  }

  /** Ends all connections that way, and leaves the other way open. */
  halfClose(way: Way): void {
    for (const link of this.#links) link[way].end();
  }

  /** Cuts all connections and stops listening. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const link of this.#links) link.destroy(false);
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #accept(near: Socket): void {
    this.#accepted++;
    near.on('error', () => {});
    const own = { ...this.#options.each?.() };
    const { loss = 0 } = { ...this.#conditions, ...own };
    if (this.#random() < loss) {
      const cutAfterBytes = Math.floor(this.#random() * LOST_WITHIN_BYTES);
      Object.assign(own, { cutAfterBytes });
    }
    // What is counted holds for new connections alone.
    const { refuse, cutAfterBytes, flipAfterBytes, holeAfterBytes, way } = this.#conditions;
    if (own.refuse ?? refuse) {
      near.resetAndDestroy();
      return;
    }
    const counted = { cutAfterBytes, flipAfterBytes, holeAfterBytes, way };
    const { host = '127.0.0.1', port } = this.#options;
    const far = connect({ host, port, allowHalfOpen: true, noDelay: true });
    let isSwallowed = false;
    let isOver = false;
    const conditions = (): ProxyConditions => {
      const all = { ...this.#conditions, ...counted, ...own } as ProxyConditions;
      return isSwallowed ? { ...all, blackHole: 'both' } : all;
    };
    const swallow = (): void => {
      isSwallowed = true;
      link.up.update();
      link.down.update();
    };
    const destroy = (reset: boolean): void => {
      if (isOver) return;
      isOver = true;
      this.#links.delete(link);
      link.up.close();
      link.down.close();
      for (const socket of [near, far]) {
        if (reset) socket.resetAndDestroy();
        else socket.destroy();
      }
    };
    const common = { conditions, random: this.#random, cut: () => destroy(true), swallow };
    const link: Link = {
      up: new OneWay({ ...common, way: 'up', source: near, sink: far }),
      down: new OneWay({ ...common, way: 'down', source: far, sink: near }),
      destroy,
    };
    this.#links.add(link);
    let ends = 0;
    for (const socket of [near, far]) {
      // A reset goes on to the other side, though not through a hole; so does the end of both ways.
      socket.on('error', () => {
        const current = conditions();
        if (!isHole(current, 'up') && !isHole(current, 'down')) destroy(true);
      });
      socket.on('close', () => {
        ends++;
        if (ends === 2) destroy(false);
      });
    }
  }
}
