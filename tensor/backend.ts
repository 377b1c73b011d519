/**
 * Engines: loads `wasm` and `cpu`, makes them good guests of a server process, and starts one. It knows nothing of what
 * is computed with them; kernels.ts repairs that.
 */
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import * as core from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { getThreadsCount } from '@tensorflow/tfjs-backend-wasm';
import { asError, GradwireError } from '../errors.ts';
import { installGradients } from './gradients.ts';
import { makeComplexReadable } from './kernels/complex.ts';
import type { BackendWasm } from './kernels/wasm-heap.ts';
import { installKernels } from './kernels.ts';
import { withoutEmscriptenListeners } from './process-listeners.ts';
import { askedThreads, threadCount } from './threads/count.ts';
import { makeThreadedEngine } from './threads/engine.ts';

/** The engines that can be asked for. */
export type EngineName = 'wasm' | 'cpu';

type Factory = ReturnType<typeof core.findBackendFactory>;

/** tfjs's own priorities: the engine that `tf.ready()` would choose is the one that `startEngine` chooses. */
const PRIORITY: Readonly<Record<EngineName, number>> = { wasm: 2, cpu: 1 };
/** That of the engine that the environment asks for. */
const ASKED_FOR = 3;

/** Instances that were made ahead of their use, to learn whether that works; a factory hands each out once. */
const premade = new Map<EngineName, core.KernelBackend>();
let lastStart: Promise<unknown> = Promise.resolve();
/** Processes of the job on this host, as far as the program has said. */
let processesHere = 1;

/**
 * Makes an engine ready and current, and returns its name; at once if it is already. The engine wasm computes with
 * `GRADWIRE_THREADS` threads; by default with its share of the cores of this host, 1 to 8.
 *
 * @param name which engine. Default: the environment variable `GRADWIRE_ENGINE`, else the engine that the program chose
 *   with `tf.setBackend`, else `wasm`. If nobody asked for `wasm` and it cannot be loaded, `cpu` is taken, which one line
 *   on stderr says: it is 30 times slower.
 * @param localProcesses how many processes of the job share this host, if `LOCAL_WORLD_SIZE` does not say it. Default: 1
 * @throws GradwireError `engine_unavailable` if the engine cannot be loaded, or if the process also holds another version
 *   of tfjs-core; `invalid_argument` for an unknown name or number of threads
 */
export async function startEngine(name?: EngineName, localProcesses = 1): Promise<string> {
  const asked = name ?? fromEnvironment();
  askedThreads(process.env);
  if (asked !== undefined && !(asked in PRIORITY)) {
    throw new GradwireError('invalid_argument', `no engine ${asked}: there are wasm and cpu`);
  }
  refuseOtherVersions();
  // One at a time: tfjs fails the first of two initializations that overlap.
  const started = lastStart.then(() => {
    processesHere = localProcesses;
    return start(asked);
  });
  lastStart = started.catch(() => undefined);
  return started;
}

/** Threads that the current engine computes with, this one included. PyTorch: `torch.get_num_threads`. */
export function getNumThreads(): number {
  return core.getBackend() === 'wasm' && isReady('wasm') ? getThreadsCount() : 1;
}

async function start(asked: EngineName | undefined): Promise<string> {
  // A copy of the engine packages that was loaded later has overwritten the repairs.
  installKernels();
  installGradients();
  const current = core.getBackend();
  // An engine that the program brought itself.
  if (asked === undefined && current in core.engine().registry && !isEngineName(current)) {
    return current;
  }
  const wanted = asked ?? (isEngineName(current) ? current : 'wasm');
  if (current === wanted) await core.ready().catch(() => undefined);
  if (isReady(wanted)) return wanted;
  try {
    await load(wanted);
    return wanted;
  } catch (error) {
    if (asked !== undefined) throw error;
    process.stderr.write(`gradwire: computing on the slow engine cpu: ${asError(error).message}\n`);
    await load('cpu');
    return 'cpu';
  }
}

async function load(name: EngineName): Promise<void> {
  if (!(name in core.engine().registry)) {
    // Made here rather than by tfjs, which would print a failure on the console and forget its reason.
    try {
      premade.set(name, await core.findBackendFactory(name)());
    } catch (error) {
      throw new GradwireError(
        'engine_unavailable',
        `the engine ${name} cannot be loaded: ${reasonOf(error)}`,
        { cause: error },
      );
    }
  }
  await core.setBackend(name);
  if (!isReady(name)) {
    throw new GradwireError('engine_unavailable', `the engine ${name} did not start`);
  }
}

function isReady(name: EngineName): boolean {
  return core.getBackend() === name && name in core.engine().registry;
}

function isEngineName(name: string | undefined): name is EngineName {
  return name !== undefined && name in PRIORITY;
}

function fromEnvironment(): EngineName | undefined {
  const { GRADWIRE_ENGINE: name } = process.env;
  return name === undefined || name === '' ? undefined : (name as EngineName);
}

/** What Emscripten rejects with is an object with a message, or nothing. */
function reasonOf(error: unknown): string {
  const message = (error as { readonly message?: unknown } | undefined)?.message;
  return typeof message === 'string' ? message : String(error);
}

/** Puts `wrap` around the factory of an engine, so that it also holds when a user's `tf.ready()` calls it. */
function wrapFactory(name: EngineName, wrap: (make: Factory) => Factory): void {
  const make = core.findBackendFactory(name);
  // A live engine cannot be replaced without losing its tensors.
  if (make === null || name in core.engine().registry) return;
  core.removeBackend(name);
  const wrapped = wrap(make);
  // `tf.ready()` takes the one of the highest priority.
  const priority = fromEnvironment() === name ? ASKED_FOR : PRIORITY[name];
  core.registerBackend(name, () => takePremade(name) ?? wrapped(), priority);
}

function takePremade(name: EngineName): core.KernelBackend | undefined {
  const instance = premade.get(name);
  premade.delete(name);
  return instance;
}

function refuseOtherVersions(): void {
  const ours = core.version_core;
  for (const [root, version] of loadedCores()) {
    if (version === ours) continue;
    throw new GradwireError(
      'engine_unavailable',
      `gradwire uses tfjs-core ${ours}, but this process also loaded tfjs-core ${version} from ${root}: install ${ours}`,
    );
  }
}

/** Folder and version of each tfjs-core among the loaded CommonJS modules; its Node bundle is one. */
function loadedCores(): Map<string, string> {
  const require = createRequire(import.meta.url);
  const found = new Map<string, string>();
  for (const file of Object.keys(require.cache)) {
    const root = /^.*[\\/]@tensorflow[\\/]tfjs-core(?=[\\/])/.exec(file)?.[0];
    if (root === undefined || found.has(root)) continue;
    const { version } = require(`${root}/package.json`) as { version: string };
    found.set(root, version);
  }
  return found;
}

async function makeWasm(makeSingle: Factory): Promise<core.KernelBackend> {
  const { env } = process;
  const threads = countThreads(env);
  if (threads > 1) {
    try {
      return await makeThreadedEngine(threads);
    } catch (error) {
      if (askedThreads(env) !== undefined) throw error;
      process.stderr.write(`gradwire: computing with one thread: ${reasonOf(error)}\n`);
    }
  }
  return withoutEmscriptenListeners(async () => makeSingle());
}

/** `startEngine` has refused what makes no sense; for a program's own `tf.ready()` it is no reason to take a slow engine. */
function countThreads(env: NodeJS.ProcessEnv): number {
  try {
    return threadCount({ env, cores: availableParallelism(), localProcesses: processesHere });
  } catch (error) {
    process.stderr.write(`gradwire: computing with one thread: ${asError(error).message}\n`);
    return 1;
  }
}

wrapFactory('wasm', (make) => async () => {
  // Asked here, because Emscripten would print its own complaint.
  if (!('WebAssembly' in globalThis)) throw new Error('this process has no WebAssembly');
  const backend = await makeWasm(make);
  makeComplexReadable(backend as BackendWasm);
  return backend;
});
wrapFactory('cpu', (make) => () => {
  const backend = make();
  // On its first use it would advise on the console to install another package.
  (backend as unknown as { firstUse: boolean }).firstUse = false;
  return backend;
});
