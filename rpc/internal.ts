/** What the layers above rpc need and users do not. */
export { BoundedSet } from './bounded-set.ts';
export { currentWorker } from './current.ts';
export { fromWire, toWire } from './failure.ts';
export { Head } from './head.ts';
export type { Incoming } from './incoming.ts';
export type { CallView, IncomingTrace, Interceptor, OutgoingTrace } from './interceptor.ts';
export { addPlugin } from './plugins.ts';
export { isRRef } from './rref.ts';
export type { WorkerCore } from './worker-core.ts';
