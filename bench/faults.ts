/** Suite `faults`: how soon a peer that is killed or stopped is an error, and that one that computes is none. */
import { randomBytes } from 'node:crypto';
import { rpc } from 'gradwire';
import { compute, faultName, here, never, Thing } from './fault-calls.ts';
import { type Figure, figure, inRounds, type SuiteOptions, timeMs } from './harness.ts';
import { beside, type Child, freePort, startNode } from './processes.ts';

/** Samples per round: with the default rounds 20 of each figure. */
const PER_ROUND = 4;
/** Processes that compute side by side. */
const BATCH = 10;
const COMPUTE_MS = 30_000;
/** Beyond it a call ends by its own limit, which is a death too. */
const LIMIT_MS = 300_000;

const TARGETS = {
  killed: 0.25,
  stopped: 3.5,
  shutdownDead: 2,
} as const;

export async function faults({ rounds, note }: SuiteOptions): Promise<readonly Figure[]> {
  const count = rounds * PER_ROUND;
  const samples = await inRounds({ warmUp: 1, rounds: count }, (round) => {
    note(`round ${round + 2} of ${count + 1}`);
    return withGroup(3, deaths);
  });
  const figures = (Object.keys(TARGETS) as (keyof typeof TARGETS)[]).map((name) =>
    figure(`faults.${name}`, {
      unit: 's',
      better: 'less',
      ours: samples[name],
      target: { of: 'value', most: TARGETS[name] },
    }),
  );
  return [...figures, await falseDeaths(count, note)];
}

/** Of three others one is killed, one is stopped and one lives; then all that live leave. */
async function deaths(
  worker: rpc.Worker,
  children: readonly Child[],
): Promise<Record<keyof typeof TARGETS, number>> {
  const [first, second] = children as [Child, Child, Child];
  const killed = await secondsToError(worker, 1, () => first.kill());
  const stopped = await secondsToError(worker, 2, () => second.signal('SIGSTOP'));
  const shutdownDead = (await timeMs(() => worker.shutdown())) / 1000;
  return { killed, stopped, shutdownDead };
}

/** From `harm` to the error of a call that is being run there. */
async function secondsToError(worker: rpc.Worker, rank: number, harm: () => void): Promise<number> {
  const call = worker.rpcAsync(faultName(rank), never, [], { timeoutMs: LIMIT_MS });
  const failure = call.then(
    () => undefined,
    (error: Error) => error,
  );
  // Comes after the call.
  await worker.rpcSync(faultName(rank), here);
  const ms = await timeMs(async () => {
    harm();
    const error = await failure;
    if (!error?.message.startsWith('unavailable: ')) throw error ?? new Error('no error');
  });
  return ms / 1000;
}

/** Peers that compute for 30 s in a handler, and hold a reference meanwhile, counted as dead by us or us by them. */
async function falseDeaths(trials: number, note: (line: string) => void): Promise<Figure> {
  let dead = 0;
  let suspected = 0;
  for (let done = 0; done < trials; done += BATCH) {
    const size = Math.min(BATCH, trials - done);
    note(`${size} processes compute for ${COMPUTE_MS / 1000} s, ${trials - done - size} to go`);
    await withGroup(size, async (worker) => {
      const events = worker.events().subscribe(({ type }) => {
        if (type === 'suspected') suspected++;
      });
      const ranks = Array.from({ length: size }, (_, index) => index + 1);
      const outcomes = await Promise.all(ranks.map((rank) => survives(worker, rank)));
      dead += outcomes.filter((lives) => !lives).length;
      events.unsubscribe();
      await worker.shutdown();
    });
  }
  return figure('faults.falseDeaths', {
    unit: 'count',
    better: 'less',
    ours: [dead],
    target: { of: 'value', most: 0 },
    conditions: { trials, computeMs: COMPUTE_MS, sideBySide: Math.min(BATCH, trials), suspected },
  });
}

/** Whether the peer answers after it has computed for long, and still has what we hold there. */
async function survives(worker: rpc.Worker, rank: number): Promise<boolean> {
  const to = faultName(rank);
  try {
    using thing = worker.remote(to, Thing);
    await thing.getType();
    await worker.rpcSync(to, compute, [COMPUTE_MS], { timeoutMs: LIMIT_MS });
    return (await thing.getType()) === 'Thing';
  } catch {
    return false;
  }
}

/** Runs `work` with this process as rank 0 and `others` more, which are gone at the end whatever has become of them. */
async function withGroup<R>(
  others: number,
  work: (worker: rpc.Worker, children: readonly Child[]) => Promise<R>,
): Promise<R> {
  const masterPort = await freePort();
  const token = randomBytes(32).toString('hex');
  const worldSize = others + 1;
  const env = {
    MASTER_PORT: String(masterPort),
    WORLD_SIZE: String(worldSize),
    GRADWIRE_TOKEN: token,
    GRADWIRE_ENGINE: 'cpu',
  };
  const children = Array.from({ length: others }, (_, index) =>
    startNode(beside('fault-member'), { ...env, RANK: String(index + 1) }),
  );
  try {
    const options = { name: faultName(0), rank: 0, worldSize, masterPort, token };
    await using worker = await rpc.init(options);
    await worker.barrier();
    return await work(worker, children);
  } finally {
    for (const child of children) child.kill();
  }
}
