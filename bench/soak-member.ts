/**
 * One process of the soak: a member of a dynamic group that does a bit of everything with the others, at random by seed, leaves
 * and joins again, and tells what it holds when it is asked to be quiet. Driven by soak.ts through messages.
 */
import './parent.ts';
import { readdirSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { autograd, isGradwireError, optim, rpc, tf } from 'gradwire';
import type { Order, Told } from './soak-words.ts';

const CALL_MS = 5_000;
/** What takes longer hangs: all of its waits together are bounded by less. */
const HANG_MS = 30_000;

class Counter {
  #count = 0;
  last: tf.Tensor | undefined;

  add(n: number): number {
    this.#count += n;
    return this.#count;
  }

  /** Stores a tensor: what it replaces is freed. */
  keep(x: tf.Tensor): number {
    this.last = x;
    return x.size;
  }
}

function add(a: number, b: number): number {
  return a + b;
}

function project(x: tf.Tensor, w: tf.Tensor): tf.Tensor {
  return tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D);
}

class Model {
  readonly #weights = tf.variable(tf.ones([4, 4]));

  forward(x: tf.Tensor): tf.Tensor {
    return project(x, this.#weights);
  }

  parameters(): rpc.RRef<tf.Variable>[] {
    return [new rpc.RRef(this.#weights)];
  }
}

async function* numbers(to: number): AsyncGenerator<number> {
  for (let i = 0; i < to; i++) yield i;
}

/** Uses another's object through its own copy of the reference. */
async function borrow(counter: rpc.RRef<Counter>): Promise<number> {
  using mine = counter;
  return await mine.rpcSync({ timeoutMs: CALL_MS }).add(1);
}

rpc.register({ Counter, add, Model, project, numbers, borrow });

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const given = process.env['GRADWIRE_SOAK'] ?? '';
const [rank = 0, port = 0, seed = 0] = given.split(' ').map(Number);
let state = seed + rank;
/** Below `limit`, by seed (a linear congruence is random enough here). */
function below(limit: number): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((state / 2 ** 32) * limit);
}

let worker: rpc.Worker;
let isWorking = false;
let busy = 0;
let done = 0;
const errors: Record<string, number> = {};

async function join(): Promise<void> {
  worker = await rpc.init({
    name: `member${rank}`,
    rank,
    worldSize: 'dynamic',
    masterPort: port,
    token: 'soak',
    engine: 'cpu',
    timeoutMs: CALL_MS,
    initTimeoutMs: 20_000,
  });
}

/** Someone, perhaps this worker itself. */
function someone(): string {
  const infos = worker.getWorkerInfos();
  return infos[below(infos.length)]?.name ?? worker.info.name;
}

const DEEDS: readonly (() => Promise<unknown>)[] = [
  () => Promise.all([1, 2, 3, 4].map((n) => worker.rpcSync(someone(), add, [n, n]))),
  async () => {
    const x = tf.randomNormal([64, 4]);
    const w = tf.ones([4, 8]);
    try {
      tf.dispose(await worker.rpcSync(someone(), project, [x, w]));
    } finally {
      tf.dispose([x, w]);
    }
  },
  async () => {
    for await (const item of worker.rpcStream(someone(), numbers, [1 + below(40)])) {
      if (item === 20) break;
    }
  },
  async () => {
    using counter = worker.remote(someone(), Counter);
    using other = worker.remote(someone(), Counter);
    const x = tf.ones([1 + below(100)]);
    const shared = [1, 2].map(() => worker.rpcSync(someone(), borrow, [counter]));
    const kept = other.rpcSync().keep(x);
    x.dispose();
    await Promise.all([...shared, kept, counter.rpcSync().add(1)]);
  },
  async () => {
    using model = worker.remote(someone(), Model);
    const parameters = await model.rpcSync().parameters();
    const x = tf.ones([2, 4]);
    try {
      using optimizer = worker.run(
        () => new optim.DistributedOptimizer(optim.SGD, parameters, { lr: 0.1 }),
      );
      await worker.run(() =>
        autograd.context(async (id) => {
          const hidden = await model.rpcSync().forward(x);
          const output = await worker.rpcSync(someone(), project, [hidden, tf.ones([4, 2])]);
          await autograd.backward(id, [tf.sum(output)], { timeoutMs: CALL_MS });
          await optimizer.step(id);
        }),
      );
    } finally {
      x.dispose();
      for (const parameter of parameters) parameter.dispose();
    }
  },
];

async function work(): Promise<void> {
  busy++;
  while (isWorking) {
    const deed = DEEDS[below(DEEDS.length)] ?? DEEDS[0];
    const hang = setTimeout(() => fault(`hangs: ${deed}`), HANG_MS);
    try {
      await deed?.();
      done++;
    } catch (error) {
      if (isGradwireError(error)) errors[error.code] = (errors[error.code] ?? 0) + 1;
      else fault(`an error without a name: ${(error as Error).stack ?? error}`);
    }
    clearTimeout(hang);
  }
  busy--;
}

function fault(what: string): void {
  tell({ type: 'fault', rank, what });
}

function tell(told: Told): void {
  process.send?.(told);
}

const FLOWS = 4;

async function quiet(): Promise<void> {
  isWorking = false;
  const end = performance.now() + HANG_MS;
  const look = (): void => {
    collect();
    const info = worker.getDebugInfo() as Readonly<Record<string, number>>;
    const { rss, heapUsed, external } = process.memoryUsage();
    const held = {
      tensors: tf.memory().numTensors,
      references: [
        'rref.numOwnerRrefs',
        'rref.numLocalObjects',
        'rref.numUserRrefs',
        'rref.numPendingChildren',
      ]
        .map((key) => info[key] ?? 0)
        .reduce((sum, n) => sum + n),
      contexts: info['autograd.numContexts'] ?? 0,
      flows: busy,
    };
    const isClean = Object.values(held).every((n) => n === 0);
    if (!isClean && performance.now() < end) return void setTimeout(look, 50);
    const sockets = process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap');
    const descriptors = readdirSync('/proc/self/fd').length;
    const sample = {
      ...held,
      sockets: sockets.length,
      descriptors,
      rss,
      heap: heapUsed + external,
    };
    tell({ type: 'sample', rank, done, errors, sample });
  };
  look();
}

async function rejoin(): Promise<void> {
  isWorking = false;
  await worker.shutdown({ timeoutMs: 10_000 });
  await join();
}

process.on('message', async (order: Order) => {
  try {
    if (order === 'work' && !isWorking) {
      isWorking = true;
      for (let i = 0; i < FLOWS; i++) void work();
    } else if (order === 'quiet') await quiet();
    else if (order === 'rejoin') {
      await rejoin();
      tell({ type: 'ready', rank });
    } else if (order === 'leave') {
      const report = await worker.shutdown({ timeoutMs: 20_000 });
      tell({ type: 'left', rank, drained: report.drained });
      process.disconnect();
    }
  } catch (error) {
    fault(`${order}: ${(error as Error).stack ?? error}`);
  }
});
for (const event of ['unhandledRejection', 'uncaughtException'] as const) {
  process.on(event, (error) => fault(`${event}: ${(error as Error).stack ?? error}`));
}
await join();
tell({ type: 'ready', rank });
