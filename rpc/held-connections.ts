/** Connections of workers that are not known yet: kept for a while, until someone says who they are. */
import type { Connection } from './transport.ts';

/** How long a connection waits. */
const HOLD_MS = 10_000;
/** How many wait at a time. */
const MOST = 1_000;

interface Held {
  readonly connection: Connection;
  readonly timer: NodeJS.Timeout;
}

export class HeldConnections {
  readonly #held = new Map<string, Held>();

  /** Keeps the connection, one for each incarnation; ends it if nobody takes it in time, or too many wait. */
  add(connection: Connection): void {
    const { incarnation } = connection.peer;
    const isRefused = this.#held.has(incarnation) || this.#held.size >= MOST;
    if (isRefused) return connection.close();
    const drop = (): void => this.take(incarnation)?.close();
    this.#held.set(incarnation, { connection, timer: setTimeout(drop, HOLD_MS) });
  }

  /** The connection of this worker, if there is one; it is the caller's from now on. */
  take(incarnation: string): Connection | undefined {
    const held = this.#held.get(incarnation);
    clearTimeout(held?.timer);
    this.#held.delete(incarnation);
    return held?.connection;
  }

  /** Ends all. */
  close(): void {
    for (const incarnation of [...this.#held.keys()]) this.take(incarnation)?.close();
  }
}
