/** A carrier under workers that die without a word after a given number of steps. */
import type { Connection, NodeOptions, Transport, TransportNode } from '../../rpc/transport.ts';

/** Carries over `base` until the worker has done `steps` things with it; then all is cut, and nothing is answered. */
export class MortalTransport implements Transport {
  readonly name: string = 'mortal';
  readonly #base: Transport;
  readonly #connections: Connection[] = [];
  #node: TransportNode | undefined;
  #stepsLeft: number;

  constructor(base: Transport, steps: number) {
    this.#base = base;
    this.#stepsLeft = steps;
  }

  get isDead(): boolean {
    return this.#stepsLeft < 0;
  }

  /** Lets it die after so many steps from now. */
  dieAfter(steps: number): void {
    this.#stepsLeft = steps;
  }

  async start(options: NodeOptions): Promise<TransportNode> {
    const accept = (connection: Connection): void => {
      if (this.#step()) options.accept(this.#watch(connection));
      else connection.close();
    };
    const node = await this.#base.start({ ...options, accept });
    this.#node = node;
    return {
      join: (timeoutMs) => this.#alive(() => node.join(timeoutMs)),
      dial: (member, timeoutMs) =>
        this.#alive(async () => this.#watch(await node.dial(member, timeoutMs))),
      close: () => node.close(),
    };
  }

  #watch(connection: Connection): Connection {
    if (this.isDead) connection.close();
    this.#connections.push(connection);
    const { peer, segmentBytes } = connection;
    return {
      peer,
      segmentBytes,
      start: ({ data, drain, close }) => {
        connection.start({ drain, close, data: (chunk) => void (this.#step() && data(chunk)) });
      },
      write: (chunk) => !this.#step() || connection.write(chunk),
      close: () => connection.close(),
    };
  }

  async #alive<R>(work: () => Promise<R>): Promise<R> {
    if (!this.#step()) throw new Error('dead');
    const result = await work();
    if (!this.#step()) throw new Error('dead');
    return result;
  }

  /** False from the moment of death on. */
  #step(): boolean {
    this.#stepsLeft--;
    if (this.#stepsLeft === -1) {
      for (const connection of this.#connections) connection.close();
      void this.#node?.close();
    }
    return this.#stepsLeft >= 0;
  }
}
