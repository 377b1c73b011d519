/**
 * What runs on the liveness thread: takes the orders of the main thread and sends it reports. Starts itself when loaded as a
 * thread, and is never imported.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { Mesh } from './mesh.ts';
import { type Order, PULSE_MS, type ThreadData } from './orders.ts';

const port = parentPort;
if (port === null) throw new Error('this file runs as a thread only');

const pulse = new Int32Array((workerData as ThreadData).pulse);
let last = -1;
let changedAt = performance.now();

/** For how long the main thread has missed its pulse, in ms; 0 unless it computes. */
function busyMs(): number {
  const now = performance.now();
  const current = Atomics.load(pulse, 0);
  if (current !== last) {
    last = current;
    changedAt = now;
  }
  const ms = now - changedAt;
  return ms > 2 * PULSE_MS ? ms : 0;
}

const mesh = new Mesh((report) => port.postMessage(report), busyMs);
port.on('message', (order: Order) => mesh.order(order));
