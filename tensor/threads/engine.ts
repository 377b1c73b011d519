/**
 * The wasm engine with compute threads: makes it, and sees to it that the threads keep no process alive and end with the
 * engine. How their number is chosen is no concern of this file.
 */
import { Worker } from 'node:worker_threads';
import { BackendWasm, setThreadsCount } from '@tensorflow/tfjs-backend-wasm';
import { loadFactory } from './build.ts';

/** A start takes a tenth of a second, on a crowded machine a few. */
const START_LIMIT_MS = 60_000;

/** What the declarations of the package leave out of its module. */
interface ThreadedModule {
  cwrap(name: string, result: 'number' | null, args: readonly 'number'[]): unknown;
  tfjs?: Readonly<Record<string, unknown>>;
}

// Compiled beside this file, or source where Node runs TypeScript.
const threadFile = new URL(`./compute-thread${import.meta.url.slice(-3)}`, import.meta.url);

/**
 * The engine on `threads` threads, at least 2, the calling one included. The others end when the engine is disposed of.
 *
 * @throws Error if threads cannot be had
 */
export async function makeThreadedEngine(threads: number): Promise<BackendWasm> {
  const module = await startModule(threads);
  module.tfjs = {
    init: module.cwrap('init', null, []),
    initWithThreadsCount: module.cwrap('init_with_threads_count', null, ['number']),
    getThreadsCount: module.cwrap('get_threads_count', 'number', []),
    registerTensor: module.cwrap('register_tensor', null, ['number', 'number', 'number']),
    disposeData: module.cwrap('dispose_data', null, ['number']),
    dispose: module.cwrap('dispose', null, []),
  };
  setThreadsCount(threads);
  return new BackendWasm(module as never);
}

/** The module, once all its threads are ready. */
async function startModule(threads: number): Promise<ThreadedModule> {
  const started: Worker[] = [];
  let isReady = false;
  let timer: NodeJS.Timeout | undefined;
  try {
    const module = await new Promise((resolve, reject) => {
      class ComputeThread extends Worker {
        constructor() {
          // Modules that the program preloads are not for these threads.
          super(threadFile, { workerData: threads, execArgv: [], name: 'gradwire compute' });
          started.push(this);
          super.on('error', (error) => {
            // A thread that is lost later would leave the engine waiting for it for ever.
            if (isReady) throw error;
            reject(error);
          });
        }

        /** The script would print errors and throw them on. */
        // biome-ignore lint/suspicious/noExplicitAny: as in the declaration that it overrides
        override on(event: string, listener: (...args: any[]) => void): this {
          return event === 'error' ? this : super.on(event, listener);
        }

        /** The script calls it when the thread begins to wait for work, which is no reason for a process to live. */
        override ref(): void {}
      }
      timer = setTimeout(
        () => reject(new Error(`the threads were not ready within ${START_LIMIT_MS} ms`)),
        START_LIMIT_MS,
      );
      loadFactory({ threads, Worker: ComputeThread })({}).then(resolve, reject);
    });
    isReady = true;
    return module as ThreadedModule;
  } catch (error) {
    for (const thread of started) void thread.terminate();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
