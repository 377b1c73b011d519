/** What a run tells of itself for `--json`. */
import { rpc, tf } from 'gradwire';

/** Live tensors after some steps, while no step is under way. */
export interface Memory {
  readonly iteration: number;
  readonly trainerTensors: number;
  readonly serverTensors: number;
}

export interface Report {
  readonly rank: number;
  readonly iterations: number;
  readonly iterationsPerSecond: number;
  /** Loss of every fifth batch. */
  readonly losses: readonly number[];
  readonly memory: readonly Memory[];
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
