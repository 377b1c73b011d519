/** What users need to test what their programs do when messages, workers and connections fail: `gradwire/testing`. */
export {
  type FaultAction,
  FaultPlan,
  type InjectedFault,
  type MessageKind,
} from '../rpc/internal.ts';
export { type FaultyAgentOptions, faultyAgent } from './faulty-agent.ts';
