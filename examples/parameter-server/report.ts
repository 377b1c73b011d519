/** What a run tells of itself for `--json`: records while it trains, and figures of all trainers at the end. */
import { getNumThreads, rpc, tf } from 'gradwire';
import { mean } from '../support/losses.ts';

/** Live tensors after some steps, while no step is under way. */
export interface Memory {
  readonly iteration: number;
  readonly trainerTensors: number;
  readonly serverTensors: number;
}

/** What one trainer has done. */
export interface Report {
  readonly rank: number;
  readonly iterations: number;
  /** Steps per second after the first ten, or of all steps if there are no more. */
  readonly iterationsPerSecond: number;
  /** Means over the first and the last batches, at most five and at most half of all: one batch says little. */
  readonly firstLoss: number;
  readonly lastLoss: number;
  /** Loss of every fifth batch. */
  readonly losses: readonly number[];
  readonly memory: readonly Memory[];
}

/** What a run tells while it trains. */
export type RunRecord =
  | {
      readonly event: 'step';
      readonly rank: number;
      readonly iteration: number;
      readonly loss: number;
    }
  | ({ readonly event: 'memory'; readonly rank: number } & Memory);

/** Figures of a whole run. */
export interface Summary {
  /** Sum over the trainers. */
  readonly iterationsPerSecond: number;
  /** Means over the trainers. */
  readonly firstLoss: number;
  readonly lastLoss: number;
  /** Tensor engine of rank 1, and how many threads it computes with. */
  readonly engine: string;
  readonly threads: number;
  readonly trainers: readonly Report[];
}

/** The figures of a run from those of its trainers. */
export function summarize(reports: readonly Report[]): Summary {
  const trainers = [...reports].sort((a, b) => a.rank - b.rank);
  return {
    iterationsPerSecond: trainers.reduce((sum, { iterationsPerSecond: rate }) => sum + rate, 0),
    firstLoss: mean(trainers.map(({ firstLoss }) => firstLoss)),
    lastLoss: mean(trainers.map(({ lastLoss }) => lastLoss)),
    engine: tf.getBackend(),
    threads: getNumThreads(),
    trainers,
  };
}

/** Steps per second; the first ones can be left out, in which programs compile and trainers wait for each other. */
export class StepRate {
  readonly #now: () => number;
  #startMs: number;
  #endMs: number;
  #steps = 0;

  /** @param now a clock in milliseconds */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#startMs = this.#endMs = now();
  }

  /** A step has ended. */
  count(): void {
    this.#steps++;
    this.#endMs = this.#now();
  }

  /** Leaves out all that was until now. */
  restart(): void {
    this.#steps = 0;
    this.#startMs = this.#endMs = this.#now();
  }

  /** From the start to the end of the last step; what came after it does not count. */
  get perSecond(): number {
    const ms = this.#endMs - this.#startMs;
    return ms > 0 ? (1000 * this.#steps) / ms : 0;
  }
}

/** Batches that a loss at the start or at the end is a mean of. */
const FEW = 5;

/** The losses of all batches in order, in the figures of a report. */
export function lossFigures(
  all: readonly number[],
): Pick<Report, 'firstLoss' | 'lastLoss' | 'losses'> {
  const few = Math.max(1, Math.min(FEW, Math.floor(all.length / 2)));
  return {
    firstLoss: mean(all.slice(0, few)),
    lastLoss: mean(all.slice(-few)),
    losses: all.filter((_, i) => i % FEW === 0),
  };
}

/** Number of live tensors in this process. */
function countTensors(): number {
  return tf.memory().numTensors;
}

rpc.register({ countTensors });

/** Trainers may be far apart; one that dies ends the wait. */
const PATIENT = { timeoutMs: Number.POSITIVE_INFINITY };

/** Looks at the memory of this trainer and of the server, while all trainers wait. */
export async function sampleMemory(
  iteration: number,
  trainers: readonly string[],
): Promise<Memory> {
  // The answer stands behind all that this trainer has sent to the server before, the ends of its contexts included.
  await rpc.rpcSync('parameter_server', countTensors);
  await rpc.barrier(trainers, PATIENT);
  const serverTensors = await rpc.rpcSync('parameter_server', countTensors);
  const trainerTensors = countTensors();
  await rpc.barrier(trainers, PATIENT);
  return { iteration, trainerTensors, serverTensors };
}
