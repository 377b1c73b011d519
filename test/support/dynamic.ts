/** Workers that come and go in a dynamic group of their own, and prove that they leave nothing behind. */
import { init } from '../../rpc/init.ts';
import type { InitOptions } from '../../rpc/options.ts';
import type { WorkerNode } from '../../rpc/worker.ts';
import { startEngine, tf } from '../../tensor/index.ts';
import { freePort } from './cluster.ts';

type Common = Omit<InitOptions, 'name' | 'rank' | 'worldSize' | 'masterPort' | 'initMethod'>;

export class DynamicCluster implements AsyncDisposable {
  readonly options: Common & { readonly masterPort: number };
  readonly #tensors: number;
  readonly #workers: WorkerNode[] = [];

  private constructor(options: DynamicCluster['options'], tensors: number) {
    this.options = options;
    this.#tensors = tensors;
  }

  /** A group without members. */
  static async make(common: Common): Promise<DynamicCluster> {
    await startEngine('cpu');
    const masterPort = await freePort();
    const options = { token: 'secret', initTimeoutMs: 10_000, ...common, masterPort };
    return new DynamicCluster({ engine: 'cpu', ...options }, tf.memory().numTensors);
  }

  /** A worker of this rank joins; by default `worker` and its rank is its name. */
  async join(rank: number, more: Partial<InitOptions> = {}): Promise<WorkerNode> {
    const options = { name: `worker${rank}`, worldSize: 'dynamic', rank, ...this.options } as const;
    const worker = (await init({ ...options, ...more })) as WorkerNode;
    this.#workers.push(worker);
    return worker;
  }

  /** Rank 0 and then all the others at once join; by rank. */
  async grow(count: number): Promise<readonly WorkerNode[]> {
    const first = await this.join(0);
    const ranks = Array.from({ length: count - 1 }, (_, index) => index + 1);
    return [first, ...(await Promise.all(ranks.map((rank) => this.join(rank))))];
  }

  /** The worker that had this rank last. */
  at(rank: number): WorkerNode {
    const worker = this.#workers.findLast(({ info }) => info.id === rank);
    if (worker === undefined) throw new Error(`nobody had rank ${rank}`);
    return worker;
  }

  /** All leave at once, rank 0 last; fails if tensors are left. */
  async [Symbol.asyncDispose](): Promise<void> {
    const leaving = this.#workers.map((worker) => {
      return worker
        .shutdown({ timeoutMs: 5_000 })
        .catch(() => worker.shutdown({ graceful: false }));
    });
    await Promise.all(leaving);
    const left = tf.memory().numTensors - this.#tensors;
    if (left !== 0) throw new Error(`leak: ${left} tensors`);
  }
}

/** Names of those that a worker sees. */
export function seenBy(worker: WorkerNode): readonly string[] {
  return worker.getWorkerInfos().map(({ name }) => name);
}
