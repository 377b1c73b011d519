/** The peer: PyTorch's tutorial job, run by a script that the user has, on a Python that the user has. */
import { freePort, outputOf } from './processes.ts';

const ITERATIONS = 60;
const TIMEOUT_MS = 120_000;

export interface PyTorchOptions {
  /** The interpreter. */
  readonly python: string;
  /** Takes --data, --world-size, --iterations, --threads, --port; prints a line of JSON with `iterations_per_s`. */
  readonly script: string;
  /** Folder with MNIST's four files. */
  readonly data: string;
  /** Threads of each process. */
  readonly threads: number;
}

/** Whether the interpreter is there and can import torch. */
export async function hasPyTorch(python: string): Promise<boolean> {
  try {
    await outputOf(python, ['-c', 'import torch'], TIMEOUT_MS);
    return true;
  } catch {
    return false;
  }
}

/** Runs the job once over one server and one trainer. @returns iterations per second of the trainer */
export async function runPyTorch(options: PyTorchOptions): Promise<number> {
  const { python, script, data, threads } = options;
  const flags = {
    data,
    'world-size': 2,
    iterations: ITERATIONS,
    threads,
    port: await freePort(),
  };
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const output = await outputOf(python, [script, ...args], TIMEOUT_MS);
  for (const line of output.split('\n')) {
    if (!line.startsWith('{')) continue;
    const { iterations_per_s: rate }: { iterations_per_s?: unknown } = JSON.parse(line);
    if (typeof rate === 'number' && rate > 0) return rate;
  }
  throw new Error(`${script} printed no line of JSON with iterations_per_s`);
}
