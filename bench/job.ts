/** The tutorial's job as processes of its own, ours and the peer's: started, warmed up and asked for steps. */
import { randomBytes } from 'node:crypto';
import { Group } from './group.ts';
import type { Peer } from './peer.ts';
import { beside, freePort, startNode } from './processes.ts';

/** What a process of ours says when it has joined. */
export interface MemberReport {
  readonly engine: string;
  readonly threads: number;
}

/** What a trainer says of some steps. */
export interface StepsReport {
  /** Of all steps together. */
  readonly ms: number;
  /** Of each step. */
  readonly losses: readonly number[];
}

export interface JobOptions {
  readonly trainers: number;
  /** Threads of each process. */
  readonly threads: number;
  /** Folder with MNIST's four files. */
  readonly data: string;
}

/** Steps before anything counts: the first ones compile. */
const WARM_UP = 10;

/** Our job, warm. `about` is what the server computes with. */
export async function startOurs({
  trainers,
  threads,
  data,
}: JobOptions): Promise<{ job: Job; about: MemberReport }> {
  const shared = {
    MASTER_ADDR: '127.0.0.1',
    MASTER_PORT: String(await freePort()),
    WORLD_SIZE: String(1 + trainers),
    GRADWIRE_TOKEN: randomBytes(32).toString('hex'),
    GRADWIRE_THREADS: String(threads),
    BENCH_DATA: data,
  };
  const children = Array.from({ length: 1 + trainers }, (_, rank) =>
    startNode(beside('job-member'), { ...shared, RANK: String(rank) }, { speaks: true }),
  );
  const { group, about } = await Group.of<MemberReport>(children, { isPeer: false });
  return { job: await Job.warm(group), about };
}

/** The peer's job, warm. @throws Error that says how it failed */
export async function startTheirs(
  peer: Peer,
  { trainers, threads, data }: JobOptions,
): Promise<Job> {
  const script = 'parameter_server.py';
  return Job.warm(await peer.start({ script, callers: trainers, threads, flags: { data } }));
}

export class Job implements AsyncDisposable {
  /** The mean loss of the trainers at each step so far. */
  readonly losses: number[] = [];
  readonly #group: Group;

  private constructor(group: Group) {
    this.#group = group;
  }

  static async warm(group: Group): Promise<Job> {
    const job = new Job(group);
    try {
      await job.rate(WARM_UP);
      return job;
    } catch (error) {
      await group[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Trains `count` steps on each trainer at once. @returns iterations per second of all trainers together */
  async rate(count: number): Promise<number> {
    const reports = await this.#group.ask<StepsReport>({ do: 'steps', count });
    for (let step = 0; step < count; step++) {
      const sum = reports.reduce((total, { losses }) => total + (losses[step] as number), 0);
      this.losses.push(sum / reports.length);
    }
    return reports.reduce((total, { ms }) => total + (1000 * count) / ms, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#group[Symbol.asyncDispose]();
  }
}
