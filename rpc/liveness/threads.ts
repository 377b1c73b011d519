/**
 * The liveness thread of this process, as the main thread has it: started by the first worker that needs it, shared by all,
 * and ended a while after the last has left. It never keeps the process alive. What it does is mesh.ts's business.
 */
import { Worker } from 'node:worker_threads';
import { outside } from '../../tensor/index.ts';
import { type Order, PULSE_MS, type Report, type ThreadData, type WorkerKey } from './orders.ts';

/** How long the thread stays without work: a worker that joins after another has left need not start it again. */
const LINGER_MS = 5_000;

// Compiled beside this file, or source where Node runs TypeScript.
const threadFile = new URL(`./thread${import.meta.url.slice(-3)}`, import.meta.url);

type Listener = (report: Report) => void;

class LivenessThread {
  readonly #thread: Worker;
  readonly #listeners = new Map<WorkerKey, Listener>();
  readonly #pulse: NodeJS.Timeout;
  /** Those that wait for the port: a process that joins must not end for lack of work. */
  #starting = 0;
  #linger: NodeJS.Timeout | undefined;
  #next = 1;
  isOver = false;

  constructor() {
    const pulse = new SharedArrayBuffer(4);
    const beats = new Int32Array(pulse);
    this.#pulse = setInterval(() => Atomics.add(beats, 0, 1), PULSE_MS).unref();
    const workerData: ThreadData = { pulse };
    // Modules that the program preloads are not for this thread.
    this.#thread = new Worker(threadFile, {
      workerData,
      execArgv: [],
      env: {},
      name: 'gradwire liveness',
      resourceLimits: { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 8 },
    });
    this.#thread.on('message', (report: Report) => this.#take(report));
    // Without it the others would take this process for dead, for no reason that it could tell later.
    this.#thread.once('error', (error) => {
      this.#end();
      throw error;
    });
    this.#thread.unref();
  }

  /** @returns the name of the worker in orders and reports */
  add(listener: Listener): WorkerKey {
    clearTimeout(this.#linger);
    const key = this.#next++;
    this.#listeners.set(key, listener);
    if (this.#starting++ === 0) this.#thread.ref();
    return key;
  }

  send(order: Order): void {
    if (!this.isOver) this.#thread.postMessage(order);
  }

  remove(worker: WorkerKey): void {
    if (!this.#listeners.delete(worker)) return;
    this.send({ type: 'leave', worker });
    if (this.#listeners.size === 0) {
      this.#linger = setTimeout(() => this.#end(), LINGER_MS).unref();
    }
  }

  #take(report: Report): void {
    const isAnswer = report.type === 'listening' || report.type === 'refused';
    if (isAnswer && --this.#starting === 0) this.#thread.unref();
    this.#listeners.get(report.worker)?.(report);
  }

  #end(): void {
    this.isOver = true;
    clearInterval(this.#pulse);
    void this.#thread.terminate();
  }
}

let current: LivenessThread | undefined;

/** The thread, which is started if there is none. */
export function livenessThread(): Pick<LivenessThread, 'add' | 'send' | 'remove'> {
  if (current === undefined || current.isOver) current = outside(() => new LivenessThread());
  return current;
}
