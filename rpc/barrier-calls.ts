/** A worker's calls of `barrier` and `allGather`: checks who meets, and numbers the meetings of each set of workers. */
import { GradwireError } from '../errors.ts';
import type { Meeting } from './agreement.ts';
import type { Call } from './calls.ts';
import type { Members } from './members.ts';
import { checkTimeout } from './options.ts';
import type { CallOptions } from './types.ts';
import type { Peer, WorkerInfo } from './worker-info.ts';

/** What meeting needs of a worker. */
export interface Meeter {
  readonly info: WorkerInfo;
  readonly members: Members;
  readonly timeoutMs: number;
  getWorkerInfo(peer: Peer): WorkerInfo;
  getWorkerInfos(): readonly WorkerInfo[];
}

export class BarrierCalls {
  readonly #worker: Meeter;
  readonly #send: (to: WorkerInfo, call: Call) => Promise<unknown>;
  /** How often this worker has met those of these ranks. */
  readonly #counts = new Map<string, number>();
  #waiting = 0;

  constructor(worker: Meeter, send: (to: WorkerInfo, call: Call) => Promise<unknown>) {
    this.#worker = worker;
    this.#send = send;
  }

  /** Calls of `barrier` that wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Waits at a meeting point, kept by the lowest of its ranks, and tells whether all votes were true. */
  async meet({ key, ranks, isTolerant, vote, options }: Meeting): Promise<boolean> {
    const head = [key, ranks, isTolerant, vote];
    const call: Call = { kind: 'barrier', head, body: null, what: 'the barrier', options };
    return (await this.#send(this.#keeper(ranks), call)) === true;
  }

  /** See `Worker.barrier`. */
  async pass(
    names: readonly string[] | undefined,
    options: CallOptions | undefined,
  ): Promise<void> {
    this.#waiting++;
    try {
      await this.#meet('', names, (key, ranks) =>
        this.meet({ key, ranks, isTolerant: false, vote: true, options }),
      );
    } finally {
      this.#waiting--;
    }
  }

  /** See `Worker.allGather`. */
  gather(
    value: unknown,
    names: readonly string[] | undefined,
    options: CallOptions | undefined,
  ): Promise<unknown> {
    const { info, timeoutMs: usual } = this.#worker;
    return this.#meet('gather ', names, (key, ranks) => {
      const keeper = this.#keeper(ranks);
      const timeoutMs = checkTimeout('timeoutMs', options?.timeoutMs ?? usual);
      const head = [key, ranks, timeoutMs];
      // Where the values meet it is known who is missing: the limit of its own is told from there.
      const ownMs = keeper === info ? Number.POSITIVE_INFINITY : timeoutMs;
      const own = { ...options, timeoutMs: ownMs };
      const what = 'allGather';
      return this.#send(keeper, { kind: 'gather', head, body: [value], what, options: own });
    });
  }

  #keeper(ranks: readonly number[]): WorkerInfo {
    return this.#worker.getWorkerInfo(Math.min(...ranks));
  }

  async #meet<R>(
    kind: string,
    names: readonly string[] | undefined,
    meet: (key: string, ranks: readonly number[]) => Promise<R>,
  ): Promise<R> {
    const worker = this.#worker;
    if (names !== undefined && !Array.isArray(names)) {
      const message = 'the names of those that meet are not in an array';
      throw new GradwireError('invalid_argument', message);
    }
    const infos = names?.map((name) => worker.getWorkerInfo(name)) ?? worker.getWorkerInfos();
    const ranks = [...new Set(infos.map(({ id }) => id))].sort((a, b) => a - b);
    if (!ranks.includes(worker.info.id)) {
      const message = `${worker.info.name} is not among those that meet: ${names?.join(', ')}`;
      throw new GradwireError('invalid_argument', message);
    }
    const group = kind + ranks.map((rank) => worker.members.tagOf(rank)).join(',');
    const count = (this.#counts.get(group) ?? 0) + 1;
    this.#counts.set(group, count);
    try {
      return await meet(`${group}#${count}`, ranks);
    } catch (error) {
      // They have not met: the next attempt is for the same meeting.
      if (this.#counts.get(group) === count) this.#counts.set(group, count - 1);
      throw error;
    }
  }
}
