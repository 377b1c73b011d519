/**
 * Suite `tutorial`: the tutorial's job beside the same job on PyTorch, with one trainer and with two, and beside whole
 * steps that the server's process does alone.
 */
import { getNumThreads, rpc, tf } from 'gradwire';
import { openData } from './data.ts';
import { type Figure, figure, inRounds, median, type SuiteOptions } from './harness.ts';
import { type Job, type JobOptions, startOurs, startTheirs } from './job.ts';
import { BATCH_SIZE, endlessBatches, nextBatch } from './local-trainer.ts';
import { SERVER, withPair } from './pair.ts';
import type { Peer } from './peer.ts';
import { localSteps } from './remote.ts';
import { CALLS, type StepReport, Trainer } from './trainer.ts';

/** Steps of a block of the jobs, and blocks of each side in a round. */
const JOB_BLOCK = 15;
const JOB_BLOCKS = 3;

/** The same beside local steps, and blocks of each kind before anything counts: the first steps compile. */
const BLOCK = 5;
const BLOCKS = 3;
const WARM_UP = 3;

/** What is to be reached of PyTorch's rate, by the threads of each process. */
const LEAST_RATIO = { 1: 0.25, 2: 0.4 } as const;

export async function tutorial(options: SuiteOptions): Promise<readonly Figure[]> {
  using data = await openData(options.data);
  const job = { data: data.path, source: data.source };
  return [
    await oneTrainer(options, { ...job, trainers: 1, threads: 1 }),
    await oneTrainer(options, { ...job, trainers: 1, threads: 2 }),
    await twoTrainers(options, { ...job, trainers: 2, threads: 1 }),
    await overLocalStep(options),
  ];
}

interface NamedJob extends JobOptions {
  /** What the images are. */
  readonly source: string;
}

/** Each round starts the processes anew, since luck at the start (where memory lies) stays with a process. */
async function oneTrainer(
  { rounds, peer }: SuiteOptions,
  options: NamedJob & { readonly threads: keyof typeof LEAST_RATIO },
): Promise<Figure> {
  const { threads, source } = options;
  const ours: number[] = [];
  const theirs: number[] = [];
  let about = {};
  for (let round = 0; round < rounds; round++) {
    const started = await startOurs(options);
    about = started.about;
    await using job = started.job;
    await using peerJob = peer && (await startTheirs(peer, options));
    for (let block = 0; block < JOB_BLOCKS; block++) {
      ours.push(await job.rate(JOB_BLOCK));
      if (peerJob !== undefined) theirs.push(await peerJob.rate(JOB_BLOCK));
    }
  }
  return figure(`tutorial.1x1.threads${threads}`, {
    unit: '1/s',
    better: 'more',
    ours,
    theirs,
    target: { of: 'ratio', least: LEAST_RATIO[threads] },
    conditions: {
      ...jobConditions(about, source),
      blockSteps: JOB_BLOCK,
      ...(peer && { peer: peer.about, peerThreads: threads }),
    },
  });
}

/** Two trainers that change the same parameters. @throws Error if our loss does not fall */
async function twoTrainers({ rounds, peer }: SuiteOptions, options: NamedJob): Promise<Figure> {
  const started = await startOurs(options);
  await using job = started.job;
  const { rate: ours } = await inRounds({ warmUp: 0, rounds }, async () => ({
    rate: await job.rate(JOB_BLOCK),
  }));
  const { losses } = job;
  const [firstLoss, lastLoss] = [median(losses.slice(0, 5)), median(losses.slice(-5))];
  if (!(lastLoss < firstLoss)) {
    throw new Error(`two trainers: the loss does not fall: ${firstLoss}, then ${lastLoss}`);
  }
  const outcome = peer === undefined ? undefined : await peerOfTwo(peer, options, rounds);
  return figure('tutorial.2x1', {
    unit: '1/s',
    better: 'more',
    ours,
    ...(outcome?.theirs && { theirs: outcome.theirs }),
    conditions: {
      ...jobConditions(started.about, options.source),
      blockSteps: JOB_BLOCK,
      firstLoss,
      lastLoss,
      ...(peer && { peer: peer.about, peerThreads: options.threads }),
      ...outcome?.failure,
    },
  });
}

interface PeerOutcome {
  readonly theirs?: readonly number[];
  readonly failure?: { readonly peerFailure: string; readonly peerError: string };
}

/** PyTorch counts the versions of a parameter and refuses a backward pass after the other trainer's step. */
async function peerOfTwo(peer: Peer, options: JobOptions, rounds: number): Promise<PeerOutcome> {
  try {
    await using job: Job = await startTheirs(peer, options);
    const { rate } = await inRounds({ warmUp: 0, rounds }, async () => ({
      rate: await job.rate(JOB_BLOCK),
    }));
    return { theirs: rate };
  } catch (error) {
    const [peerError = ''] = (error as Error).message.split('\n');
    const known = /modified by an inplace operation/.exec(peerError)?.[0];
    return { failure: { peerFailure: known ?? peerError.slice(0, 80), peerError } };
  }
}

function jobConditions(about: object, data: string): Readonly<Record<string, string | number>> {
  return { ...about, batch: BATCH_SIZE, data };
}

/** Distributed and local steps take turns, and all of them compute in the process of the server. */
async function overLocalStep({ rounds }: SuiteOptions): Promise<Figure> {
  return withPair(async () => {
    const batches = endlessBatches();
    using trainer = new Trainer();
    const steps: StepReport[] = [];
    const { distributed, local } = await inRounds(
      { warmUp: WARM_UP, rounds: rounds * BLOCKS },
      async (index: number) => {
        const localMs = await rpc.rpcSync(SERVER, localSteps, [BLOCK]);
        const start = performance.now();
        for (let i = 0; i < BLOCK; i++) {
          const step = await trainer.step(await nextBatch(batches));
          if (index >= 0) steps.push(step);
        }
        const ms = performance.now() - start;
        return { distributed: (1000 * BLOCK) / ms, local: (1000 * BLOCK) / localMs };
      },
    );
    await batches.return();
    const parts = CALLS.map((call) => [`${call}Ms`, median(steps.map((step) => step[call]))]);
    return figure('tutorial.overLocalStep', {
      unit: '1/s',
      better: 'more',
      ours: distributed,
      theirs: local,
      target: { of: 'ratio', least: 0.9 },
      conditions: {
        ...jobConditions({ engine: tf.getBackend(), threads: getNumThreads() }, 'generated digits'),
        blockSteps: BLOCK,
        peer: "whole local steps in the server's process, by tf.variableGrads",
        ...Object.fromEntries(parts),
      },
    });
  });
}
