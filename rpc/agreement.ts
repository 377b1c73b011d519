/** How members agree that nobody has work any more: what `shutdown` and `waitAllWorkers` wait for. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Endpoint } from './endpoint.ts';
import type { Members } from './members.ts';
import type { CallOptions } from './types.ts';

/** A meeting point of some workers. */
export interface Meeting {
  readonly key: string;
  readonly ranks: readonly number[];
  /** Those that are gone are not waited for. */
  readonly isTolerant: boolean;
  readonly vote: boolean;
  readonly options: CallOptions | undefined;
}

/** What agreeing needs of a worker. */
export interface Agreeing {
  readonly endpoint: Endpoint;
  readonly members: Members;
  /** Resolves when all have come, with whether all votes were true. */
  meet(meeting: Meeting): Promise<boolean>;
}

/**
 * Is reached when nobody has work any more. That one worker is idle does not tell: a call may come that makes it call others.
 * So all meet when idle, again and again, until nobody has sent or received anything since the meeting before. Should
 * the worker that keeps the meetings go, the next takes its place and the count begins anew. Who gave up comes back to the
 * meeting at which the others wait.
 */
export class Agreement {
  readonly #worker: Agreeing;
  readonly #name: string;
  #leader = -1;
  #round = 0;
  #before = -1;

  /** @param name tells it from others of the same workers */
  constructor(worker: Agreeing, name: string) {
    this.#worker = worker;
    this.#name = name;
  }

  /**
   * Resolves with whether it was reached before `isOver`.
   *
   * @param leftMs how long a meeting may take that begins now
   * @throws what a meeting fails with whose keeper lives
   */
  async reach(isOver: () => boolean, leftMs: () => number): Promise<boolean> {
    const { endpoint, members } = this.#worker;
    while (!isOver()) {
      await atRest(endpoint, isOver);
      if (isOver()) return false;
      const ranks = members.live();
      const lowest = Math.min(...ranks);
      if (lowest !== this.#leader) [this.#leader, this.#round, this.#before] = [lowest, 0, -1];
      const { activity } = endpoint;
      const key = `${this.#name} ${this.#round} of ${this.#leader}`;
      const vote = activity === this.#before;
      try {
        const options = { timeoutMs: Math.max(1, leftMs()) };
        if (await this.#worker.meet({ key, ranks, isTolerant: true, vote, options })) return true;
      } catch (error) {
        if (members.live().includes(this.#leader)) throw error;
      }
      this.#before = activity;
      this.#round++;
    }
    return false;
  }
}

/** How long a handler may go on whose caller is gone, in ms, and how often it is looked at meanwhile. */
const ORPHAN_MS = 500;
const LOOKS = 5;

/** Resolves when nothing is under way; handlers that nobody waits for, because their callers are dead, are given little time. */
export async function atRest(
  endpoint: Pick<Endpoint, 'idle' | 'awaitedCount'>,
  isOver: () => boolean,
): Promise<void> {
  let isIdle = false;
  const idle = endpoint.idle().then(() => {
    isIdle = true;
  });
  for (let looks = 0; !isIdle && !isOver() && looks < LOOKS; ) {
    await Promise.race([idle, delay(ORPHAN_MS / LOOKS, undefined, { ref: false })]);
    looks = endpoint.awaitedCount === 0 ? looks + 1 : 0;
  }
}
