/**
 * The build of the wasm engine that computes with threads. The package has it but refuses it under Node, so its script
 * is run here, on the main thread and on each compute thread, with stand-ins for what it would do to the process: it
 * takes no listeners, defines no globals, and starts as many threads as are asked for. Knows nothing of tensors.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { compileFunction } from 'node:vm';

const require = createRequire(import.meta.url);
const SCRIPT: string = require.resolve(
  '@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm-threaded-simd.js',
);

/** The script makes this many threads when it starts, whatever will be used of them. */
const POOL_SIZE = 'var pthreadPoolSize=8;';

/** What the script finds in place of globals. */
export interface Surroundings {
  /** Threads in all, the main one included. */
  readonly threads: number;
  /** On the main thread: the class of the compute threads, called with a file that is not to be used. */
  readonly Worker?: unknown;
  /** On a compute thread. */
  readonly postMessage?: (message: unknown) => void;
  /** On a compute thread: called with the module once it can compute. */
  readonly startWorker?: (module: unknown) => void;
}

/** Emscripten's factory: resolves with the module once its threads are there. */
export type Factory = (config: object) => Promise<unknown>;

/** Runs the script. @throws Error if it is not the one that this was written for */
export function loadFactory({ threads, Worker, postMessage, startWorker }: Surroundings): Factory {
  const source = readFileSync(SCRIPT, 'utf8');
  if (!source.includes(POOL_SIZE)) throw new Error(`${SCRIPT} is not that of version 4.22.0`);
  const names = {
    module: { exports: {} as unknown },
    exports: {},
    require: (name: string): unknown => (name === 'os' ? { cpus } : require(name)),
    __filename: SCRIPT,
    __dirname: dirname(SCRIPT),
    // Its listeners would only throw again what they get, and turn off Node's own report.
    process: Object.create(process, {
      on: { value: () => undefined },
      listeners: { value: () => [] },
    }) as unknown,
    global: {},
    Worker,
    postMessage,
    startWorker,
  };
  /** The engine allows itself half of the cores. */
  function cpus(): object {
    return { length: 2 * threads };
  }
  // Not `eval`, which the process may forbid.
  const run = compileFunction(
    source.replace(POOL_SIZE, `var pthreadPoolSize=${threads - 1};`),
    Object.keys(names),
    { filename: SCRIPT },
  );
  run(...Object.values(names));
  return names.module.exports as Factory;
}
