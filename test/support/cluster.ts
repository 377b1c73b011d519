/** Several workers in one process, over any carrier, that end with the test and prove that they leave nothing behind. */
import { createServer } from 'node:net';
import { init } from '../../rpc/init.ts';
import type { InitOptions } from '../../rpc/options.ts';
import type { ShutdownOptions } from '../../rpc/shutdown.ts';
import type { WorkerNode } from '../../rpc/worker.ts';
import { startEngine, tf } from '../../tensor/index.ts';
import { garbageCollector } from './garbage.ts';
import { until } from './until.ts';

/** The carriers that run the same suites. */
export const TRANSPORTS = ['memory', 'grpc'] as const;

type Common = Omit<InitOptions, 'name' | 'rank' | 'worldSize' | 'masterPort' | 'initMethod'>;

export interface ClusterOptions extends Common {
  /** How many. Default: the number of names, else 2. */
  readonly workers?: number;
  /** By rank. Default: worker0, worker1, … */
  readonly names?: readonly string[];
  /** How the workers leave at the end. */
  readonly leave?: ShutdownOptions;
}

export class Cluster implements AsyncDisposable {
  readonly workers: readonly WorkerNode[];
  readonly #tensors: number;
  readonly #leave: ShutdownOptions;

  constructor(workers: readonly WorkerNode[], tensors: number, leave: ShutdownOptions) {
    this.workers = workers;
    this.#tensors = tensors;
    this.#leave = leave;
  }

  /** The worker of this rank. */
  at(rank: number): WorkerNode {
    const worker = this.workers[rank];
    if (worker === undefined) throw new Error(`the cluster has no rank ${rank}`);
    return worker;
  }

  /** The same, for references that nobody disposes: collects garbage until they are gone. */
  async collected(): Promise<void> {
    await this.unreferenced(garbageCollector(), 20_000);
  }

  /** Waits until no worker holds a reference, its own objects included. */
  async unreferenced(meanwhile: () => void = () => {}, deadlineMs = 5_000): Promise<void> {
    await until(() => {
      meanwhile();
      for (const { info, references } of this.workers) {
        const { ownedCount, copyCount } = references;
        if (ownedCount + copyCount === 0) continue;
        throw new Error(`${info.name} owns ${ownedCount} objects and holds ${copyCount} copies`);
      }
      return true;
    }, deadlineMs);
  }

  /** All leave at once; fails if calls, references or tensors are left. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { graceful = true } = this.#leave;
    try {
      if (graceful) await this.unreferenced();
    } finally {
      await Promise.all(this.workers.map((worker) => worker.shutdown(this.#leave)));
    }
    for (const { info, endpoint } of this.workers) {
      const { waitingCount, runningCount } = endpoint;
      if (waitingCount + (graceful ? runningCount : 0) === 0) continue;
      throw new Error(`${info.name}: ${waitingCount} requests wait, ${runningCount} run`);
    }
    const left = tf.memory().numTensors - this.#tensors;
    if (left !== 0) throw new Error(`leak: ${left} tensors`);
  }
}

/** Starts workers 0 to n - 1 of one group on a free port, with the engine `cpu` unless another is asked for. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const { workers: count, names, leave = { timeoutMs: 5_000 }, ...common } = options;
  const worldSize = count ?? names?.length ?? 2;
  const engine = common.engine ?? 'cpu';
  await startEngine(engine);
  const tensors = tf.memory().numTensors;
  const masterPort = await freePort();
  const shared = {
    token: 'secret',
    initTimeoutMs: 10_000,
    ...common,
    worldSize,
    masterPort,
    engine,
  };
  const ranks = Array.from({ length: worldSize }, (_, rank) => rank);
  const workers = await Promise.all(
    ranks.map((rank) => init({ ...shared, rank, name: names?.[rank] ?? `worker${rank}` })),
  );
  return new Cluster(workers as WorkerNode[], tensors, leave);
}

/** A port of loopback that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (typeof address === 'object' && address !== null) return address.port;
  throw new Error('no port');
}
