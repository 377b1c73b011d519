/** The options of PyTorch's agent for tests, for suites that are carried over. Knows names only: faults happen in rpc/faults/. */
import { GradwireError } from '../errors.ts';
import { FaultPlan } from '../rpc/internal.ts';

/** PyTorch: `FaultyTensorPipeRpcBackendOptions`. */
export interface FaultyAgentOptions {
  /** PyTorch's names of the messages whose first sends fail, such as `RREF_FORK_REQUEST`. Default: none. */
  readonly messagesToFail?: readonly string[];
  /** How many of each kind fail, on each worker. Default: 0, as in PyTorch. */
  readonly numFailSends?: number;
  /** By how many ms each message of these names is delayed. PyTorch counts seconds. Default: none. */
  readonly messagesToDelay?: Readonly<Record<string, number>>;
}

/** What stands for PyTorch's messages here. */
const MESSAGES: ReadonlyMap<string, string> = new Map([
  ['PYTHON_CALL', 'call+method'],
  ['SCRIPT_CALL', 'call+method'],
  ['PYTHON_REMOTE_CALL', 'remote'],
  ['SCRIPT_REMOTE_CALL', 'remote'],
  ['PYTHON_RREF_FETCH_CALL', 'fetch'],
  ['SCRIPT_RREF_FETCH_CALL', 'fetch'],
  ['RREF_FORK_REQUEST', 'references.fork'],
  ['RREF_CHILD_ACCEPT', 'references.confirm'],
  ['RREF_USER_DELETE', 'references.drop'],
  ['BACKWARD_AUTOGRAD_REQ', 'gradient'],
  ['CLEANUP_AUTOGRAD_CONTEXT_REQ', 'release'],
]);

/**
 * Options of `rpc.init` that make faults as PyTorch's agent `FAULTY_TENSORPIPE` does, with its words:
 * `rpc.init({ name, ...faultyAgent({ messagesToFail: ['RREF_USER_DELETE'], numFailSends: 3 }) })`. PyTorch counts the
 * failures of each message and its repetitions, here the messages of the kind are counted.
 *
 * @throws GradwireError `invalid_argument`
 */
export function faultyAgent(options: FaultyAgentOptions = {}): { readonly chaos: FaultPlan } {
  const { messagesToFail = [], numFailSends = 0, messagesToDelay = {} } = options;
  const failing = messagesToFail.map((name) => `${kindOf(name)}=fail*${numFailSends}`);
  const late = Object.entries(messagesToDelay).map(([name, ms]) => `${kindOf(name)}=delay:${ms}ms`);
  return { chaos: new FaultPlan([...failing, ...late].join(',')) };
}

function kindOf(name: string): string {
  const kind = MESSAGES.get(name);
  if (kind !== undefined) return kind;
  const known = [...MESSAGES.keys()].join(', ');
  const message = `the message ${name} is none that gradwire has a like of: ${known}`;
  throw new GradwireError('invalid_argument', message);
}
