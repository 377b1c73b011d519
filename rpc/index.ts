/// <reference lib="esnext.disposable" preserve="true" />
/** Remote procedure calls and references. PyTorch: `torch.distributed.rpc`. */
export {
  allGather,
  barrier,
  getDebugInfo,
  getRpcTimeoutMs,
  getWorkerInfo,
  remote,
  rpcAsync,
  rpcStream,
  rpcSync,
  setRpcTimeoutMs,
  shutdown,
  waitAllWorkers,
  writable,
} from './api.ts';
export { asyncExecution } from './async-execution.ts';
export { currentCall, type HandledCall } from './current-call.ts';
export type { DebugInfo } from './debug-info.ts';
export { collectAll, RpcFuture } from './future.ts';
export { init } from './init.ts';
export type { WaitAllWorkersOptions } from './joint-waits.ts';
export type { InitOptions } from './options.ts';
export { named, register } from './registry.ts';
export { RemoteStream } from './remote-stream.ts';
export { type RemoteReferences, RRef } from './rref.ts';
export type { ShutdownOptions, ShutdownReport } from './shutdown.ts';
export type { OneAnswer, Streamed } from './streamed.ts';
export type { TlsCredentials } from './tls-credentials.ts';
export type {
  Candidate,
  Connection,
  ConnectionHandlers,
  JoinRequest,
  Member,
  NodeOptions,
  PeerIdentity,
  Rendezvous,
  Transport,
  TransportNode,
} from './transport.ts';
export { MemoryTransport } from './transport-memory.ts';
export type {
  CallOptions,
  Here,
  Invocable,
  RemoteFutures,
  RemoteMethods,
  RemoteStreams,
  Rest,
  RRefBackwardOptions,
  StreamOptions,
  StreamRest,
} from './types.ts';
export { registerValue, type ValueCodec } from './value-classes.ts';
export { waitAll } from './wait-all.ts';
export type { MemberEvent, Worker } from './worker-api.ts';
export { type Peer, WorkerInfo } from './worker-info.ts';
