/** What the layers above rpc need and users do not. */
export { BoundedSet } from './bounded-set.ts';
export { currentWorker } from './current.ts';
export { fromWire, toWire } from './failure.ts';
export { ChaosProxy, type ChaosProxyOptions } from './faults/chaos-proxy.ts';
export type { ConnectionAction } from './faults/connection-rules.ts';
export { FaultPlan, type InjectedFault } from './faults/fault-plan.ts';
export type { FaultAction } from './faults/fault-rules.ts';
export type { ProxyConditions, Way } from './faults/proxy-conditions.ts';
export { Head } from './head.ts';
export type { Incoming } from './incoming.ts';
export type { CallView, IncomingTrace, Interceptor, OutgoingTrace } from './interceptor.ts';
export type { MessageKind } from './message.ts';
export { beyond } from './peer-limits.ts';
export { addPlugin } from './plugins.ts';
export { isRRef } from './rref.ts';
export { collect } from './wait-all.ts';
export type { WorkerCore } from './worker-core.ts';
