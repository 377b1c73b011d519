/**
 * What runs on each compute thread: waits for the compiled engine and its memory, then for work. The main thread speaks
 * Emscripten's protocol for threads; its messages are `load`, once, and `run`, which does not return while there is an
 * engine. Starts itself when loaded as a thread, and is never imported.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { loadFactory } from './build.ts';

/** What the script adds to the module on a compute thread. */
interface ThreadModule {
  readonly PThread: { receiveObjectTransfer(run: Run): void; threadInitTLS(): void };
  readonly __emscripten_thread_init: (pointer: number, ...flags: number[]) => void;
  readonly establishStackSpace: () => void;
  readonly invokeEntryPoint: (routine: number, arg: number) => void;
}

interface Load {
  readonly cmd: 'load';
  /** A `WebAssembly.Module`. */
  readonly wasmModule: object;
  /** A `WebAssembly.Memory`, shared. */
  readonly wasmMemory: { readonly buffer: SharedArrayBuffer };
}

interface Run {
  readonly cmd: 'run';
  readonly pthread_ptr: number;
  readonly start_routine: number;
  readonly arg: number;
}

// Declared by no library that is in use here.
declare const WebAssembly: {
  readonly Instance: new (module: object, imports: object) => { readonly exports: object };
};

const port = parentPort;
if (port === null) throw new Error('this file runs as a thread only');

let engine: ThreadModule | undefined;

port.on('message', (message: Load | Run) => {
  if (message.cmd === 'load') load(message);
  else if (message.cmd === 'run') run(message);
});

function load({ wasmModule, wasmMemory }: Load): void {
  const factory = loadFactory({
    threads: workerData as number,
    postMessage: (message) => port?.postMessage(message),
    startWorker: (module) => {
      engine = module as ThreadModule;
      port?.postMessage({ cmd: 'loaded' });
    },
  });
  void factory({
    ENVIRONMENT_IS_PTHREAD: true,
    wasmMemory,
    buffer: wasmMemory.buffer,
    instantiateWasm(imports: object, receive: (made: unknown) => void): object {
      const instance = new WebAssembly.Instance(wasmModule, imports);
      receive(instance);
      return instance.exports;
    },
  });
}

function run(message: Run): void {
  if (engine === undefined) throw new Error('a compute thread was to run before it was loaded');
  engine.__emscripten_thread_init(message.pthread_ptr, 0, 0, 1);
  engine.establishStackSpace();
  engine.PThread.receiveObjectTransfer(message);
  engine.PThread.threadInitTLS();
  engine.invokeEntryPoint(message.start_routine, message.arg);
}
