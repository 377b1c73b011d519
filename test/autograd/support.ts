/** Several workers in this process, code placed on them by closures, and comparison with the same computation in one place. */
import { createServer } from 'node:net';
import { expect } from '@jest/globals';
import type { ContextId } from '../../autograd/index.ts';
import { shareOf } from '../../autograd/plugin.ts';
import { autograd, rpc, tf } from '../../index.ts';
import type { WorkerNode } from '../../rpc/worker.ts';
import { referenceGradients, worstDifference } from '../support/gradients.ts';
import { until } from '../support/until.ts';

export type Carrier = 'memory' | 'grpc';
export const CARRIERS: readonly Carrier[] = ['memory', 'grpc'];

/** A group of workers `w0`, `w1`, … of this process. */
export interface Team {
  readonly workers: readonly WorkerNode[];
  /** Runs `fn` as worker `rank`. */
  as<R>(rank: number, fn: () => R): R;
  /** Waits until all open contexts, passes and requests are over, on the workers that live. */
  quiet(): Promise<void>;
  stop(): Promise<void>;
}

export async function startTeam(
  count: number,
  carrier: Carrier,
  options: Partial<rpc.InitOptions> = {},
): Promise<Team> {
  const masterPort = await freePort();
  const workers = (await Promise.all(
    Array.from({ length: count }, (_, rank) =>
      rpc.init({
        name: `w${rank}`,
        rank,
        worldSize: count,
        masterPort,
        token: 'test',
        transport: carrier,
        ...options,
      }),
    ),
  )) as WorkerNode[];
  const at = (rank: number): WorkerNode => workers[rank] as WorkerNode;
  return {
    workers,
    as: (rank, fn) => at(rank).run(fn),
    quiet: async () => {
      await until(() => workers.every(isQuiet));
    },
    stop: async () => {
      await Promise.all(workers.map((worker) => worker.shutdown({ timeoutMs: 5_000 })));
    },
  };
}

function isQuiet(worker: WorkerNode): boolean {
  const share = shareOf(worker);
  const { waitingCount, runningCount } = worker.endpoint;
  const contexts = share?.contexts.size ?? 0;
  const passes = share?.engine.startedCount ?? 0;
  return contexts + passes + waitingCount + runningCount === 0;
}

export function contextCount(worker: WorkerNode | undefined): number {
  return worker === undefined ? 0 : (shareOf(worker)?.contexts.size ?? 0);
}

/** Passes of which the worker has a share, in all its contexts. */
export function passCount(worker: WorkerNode | undefined, id: ContextId): number {
  if (worker === undefined) return 0;
  return shareOf(worker)?.contexts.find(id)?.passes.size ?? 0;
}

/** Runs `fn`; then everything must come to rest and no tensor be left that was not there before. */
export async function clean<R>(team: Team, fn: () => R | Promise<R>): Promise<R> {
  const before = tf.memory().numTensors;
  const result = await fn();
  await team.quiet();
  await until(() => tf.memory().numTensors === before, 500).catch(() => {});
  expect(tf.memory().numTensors - before).toBe(0);
  return result;
}

// biome-ignore lint/suspicious/noExplicitAny: any function of a test
type Work = (...args: any[]) => unknown;
const works = new Map<number, Work>();

function invoke(id: number, args: unknown[]): unknown {
  return works.get(id)?.(...args);
}

/** A closure of this process as an object of another worker. */
class Holder {
  readonly value: unknown;

  constructor(id: number, args: unknown[]) {
    this.value = works.get(id)?.(...args);
  }

  call(id: number, args: unknown[]): unknown {
    return works.get(id)?.(this.value, ...args);
  }
}

rpc.register({ 'test.invoke': invoke, 'test.Holder': Holder });

function numberOf(work: Work): number {
  works.set(works.size, work);
  return works.size - 1;
}

/** A promise that a work may return: a future is no result. */
async function plain<R>(future: rpc.RpcFuture<unknown>): Promise<Awaited<R>> {
  return (await future) as Awaited<R>;
}

/** Runs `work` on `to`, called by the current worker. Whatever it closes over counts as living there. */
export function at<A extends unknown[], R>(
  to: number,
  work: (...args: A) => R,
  ...args: A
): Promise<Awaited<R>> {
  return plain(rpc.rpcAsync(to, invoke, [numberOf(work), args]));
}

/** The same by `remote`. */
export function keptAt<A extends unknown[], R>(
  to: number,
  work: (...args: A) => R,
  ...args: A
): rpc.RRef<Awaited<R>> {
  return rpc.remote(to, invoke, [numberOf(work), args]) as rpc.RRef<Awaited<R>>;
}

/** An object on `to`, for method calls by `callOn`. */
export function holderAt(to: number, work: () => unknown): rpc.RRef<Holder> {
  return rpc.remote(to, Holder, [numberOf(work), []]);
}

export function callOn<V, A extends unknown[], R>(
  holder: rpc.RRef<Holder>,
  work: (value: V, ...args: A) => R,
  ...args: A
): Promise<Awaited<R>> {
  return plain(holder.rpcAsync().call(numberOf(work), args));
}

/** Gradients of the context on all workers, added up by variable; the caller disposes them. */
export function allGradients(team: Team, id: ContextId): Map<tf.Tensor, tf.Tensor> {
  const sums = new Map<tf.Tensor, tf.Tensor>();
  for (const worker of team.workers) {
    const context = shareOf(worker)?.contexts.find(id);
    for (const [of, gradient] of context?.graph.gradients ?? []) {
      const sum = sums.get(of);
      sums.set(of, sum === undefined ? tf.clone(gradient) : tf.add(sum, gradient));
      sum?.dispose();
    }
  }
  return sums;
}

/** Gradients of the current context that are visible on worker `rank`. */
export function gradientCount(team: Team, rank: number, id: ContextId): number {
  const worker = team.workers[rank];
  return worker === undefined ? 0 : (shareOf(worker)?.contexts.find(id)?.graph.gradients.size ?? 0);
}

/**
 * `program` makes its losses in a context of w0; after the backward pass the gradients of all workers must be those of
 * `reference` by tf.variableGrads.
 */
export async function expectSame(
  team: Team,
  variables: tf.Variable[],
  program: () => Promise<tf.Tensor | tf.Tensor[]>,
  reference: () => tf.Tensor,
): Promise<void> {
  await team.as(0, () =>
    autograd.context(async (id) => {
      const losses = [await program()].flat();
      await autograd.backward(id, losses);
      expectGradients(team, id, referenceGradients(reference, variables));
    }),
  );
}

/** Compares and disposes `expected`. @param most relative difference that is let pass */
export function expectGradients(
  team: Team,
  id: ContextId,
  expected: Map<tf.Variable, tf.Tensor>,
  most = 1e-6,
): void {
  const actual = allGradients(team, id);
  try {
    expect(worstDifference(actual, expected)).toBeLessThanOrEqual(most);
    expect(actual.size).toBe(expected.size);
  } finally {
    tf.dispose([...actual.values(), ...expected.values()]);
  }
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
