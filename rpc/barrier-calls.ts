/** A worker's calls of `barrier`: checks who meets, and numbers the meetings of each set of workers. */
import { GradwireError } from '../errors.ts';
import type { Members } from './members.ts';
import type { Meeting } from './shutdown.ts';
import type { CallOptions } from './types.ts';
import type { WorkerInfo } from './worker-info.ts';

/** What meeting needs of a worker. */
export interface Meeter {
  readonly info: WorkerInfo;
  readonly members: Members;
  getWorkerInfo(name: string): WorkerInfo;
  getWorkerInfos(): readonly WorkerInfo[];
  meet(meeting: Meeting): Promise<boolean>;
}

export class BarrierCalls {
  readonly #worker: Meeter;
  /** How often this worker has met those of these ranks. */
  readonly #counts = new Map<string, number>();

  constructor(worker: Meeter) {
    this.#worker = worker;
  }

  /** See `Worker.barrier`. */
  async pass(names: readonly string[] | undefined, options?: CallOptions): Promise<void> {
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
    const group = ranks.map((rank) => worker.members.tagOf(rank)).join(',');
    const count = (this.#counts.get(group) ?? 0) + 1;
    this.#counts.set(group, count);
    try {
      await worker.meet({
        key: `${group}#${count}`,
        ranks,
        isTolerant: false,
        vote: true,
        options,
      });
    } catch (error) {
      // They have not met: the next attempt is for the same meeting.
      if (this.#counts.get(group) === count) this.#counts.set(group, count - 1);
      throw error;
    }
  }
}
