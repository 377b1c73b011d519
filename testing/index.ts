/** What users need to test what their programs do when messages, workers and connections fail: `gradwire/testing`. */
export {
  ChaosProxy,
  type ChaosProxyOptions,
  type ConnectionAction,
  type FaultAction,
  FaultPlan,
  type InjectedFault,
  type MessageKind,
  type ProxyConditions,
  type Way,
} from '../rpc/internal.ts';
export { type FaultyAgentOptions, faultyAgent } from './faulty-agent.ts';
