/** Every code a GradwireError can carry, with what it means. The list is closed: ERRORS.md has a row for each. */
export const ERROR_CODES = {
  invalid_argument: 'an argument or option is not what the function takes',
  invalid_state: 'the object is not in a state in which this can be done',
  not_initialized: 'there is no worker in this process',
  ambiguous_worker: 'several workers live in this process and none is current',
  init_timeout: 'the group was not complete within the init timeout',
  duplicate_name: 'another worker of the group has this name',
  duplicate_rank: 'another worker of the group has this rank',
  group_mismatch: 'this worker and the master disagree about the group',
  group_in_use: 'rank 0 of a dynamic group cannot leave before the others',
  address_in_use: 'the port is taken by another process',
  insecure_address: 'an address beyond loopback was given without transport security',
  unauthenticated: 'the token of the run or a certificate is missing or wrong',
  unknown_worker: 'no worker of the group has this name or rank',
  already_registered: 'the name is registered for something else',
  not_registered: 'the function or class was not registered in this process',
  unknown_function: 'the callee has no function or class of this name',
  unknown_method: 'the remote object has no such method',
  unsupported_value: 'a value is not of the closed set that can be sent',
  message_too_large: 'a message is larger than the limit',
  protocol_error: 'bytes arrived that do not follow the protocol',
  deadline_exceeded: 'the answer did not come within the timeout',
  cancelled: 'the caller or the shutdown cancelled the work',
  overloaded: 'more calls or items wait than may',
  unavailable: 'the connection to the peer is lost',
  fenced: 'the peer counts this worker as dead and takes nothing from it',
  shut_down: 'this worker has been shut down',
  remote_error: 'the remote function threw',
  unknown_rref: 'the owner does not know this reference',
  rref_disposed: 'the reference was disposed here',
  owner_died: 'the worker that owned the object is gone, and the object with it',
  rref_leaked: 'references were not let go of before the shutdown',
  not_owner: 'only the owner of the reference can do this',
  unknown_context: 'this worker knows no autograd context of this id',
  context_released: 'the autograd context is over',
  no_gradient: 'a tensor or an operation cannot be differentiated',
  graph_freed: 'the graph was freed by an earlier backward pass',
  backward_failed: 'the distributed backward pass failed on some worker',
  tensor_freed: 'a tensor was used after it had been freed',
  file_error: 'a file cannot be read or written, or is damaged',
  engine_unavailable: 'the tensor engine cannot be loaded',
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** Where an operation can have failed. The list is closed: ERRORS.md explains each. */
export const ERROR_STAGES = [
  'init',
  'queue',
  'send',
  'call',
  'execute',
  'reply',
  'receive',
  'decode',
  'barrier',
  'backward',
  'shutdown',
] as const;

export type ErrorStage = (typeof ERROR_STAGES)[number];

/** What is known about a failure beyond its code and message; every field travels between workers. */
export interface ErrorDetails {
  /** Name of the worker at the other end, where there is one. */
  readonly peer?: string;
  /** What was being done, of `ERROR_STAGES`. */
  readonly stage?: string;
  /** For a failed call: false if the peer certainly did not run it. */
  readonly maybeExecuted?: boolean;
  /** Milliseconds between the start of the operation and its failure. */
  readonly elapsedMs?: number;
  /** Number of the call on its caller, the same in all that is said of it. */
  readonly callId?: number;
  /** Class name of the error that a remote function threw. */
  readonly remoteName?: string;
  /** Stack of the error where it was thrown, on the worker `peer`. */
  readonly remoteStack?: string;
}

const brand = Symbol.for('gradwire.error');

/**
 * The only error class of gradwire. `code` says what happened and is stable; the message says it for people, names the
 * peer and what to do. Test with `isGradwireError` rather than `instanceof`, which fails across realms and copies.
 */
export class GradwireError extends Error {
  override readonly name: string = 'GradwireError';
  readonly code: ErrorCode;
  readonly peer: string | undefined;
  readonly stage: string | undefined;
  readonly maybeExecuted: boolean | undefined;
  readonly elapsedMs: number | undefined;
  readonly callId: number | undefined;
  readonly remoteName: string | undefined;
  readonly remoteStack: string | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    details: ErrorDetails & { readonly cause?: unknown } = {},
  ) {
    super(
      `${code}: ${message}`,
      details.cause === undefined ? undefined : { cause: details.cause },
    );
    this.code = code;
    this.peer = details.peer;
    this.stage = details.stage;
    this.maybeExecuted = details.maybeExecuted;
    this.elapsedMs = details.elapsedMs;
    this.callId = details.callId;
    this.remoteName = details.remoteName;
    this.remoteStack = details.remoteStack;
    Object.defineProperty(this, brand, { value: true });
  }
}

/** Whether `error` is a GradwireError of this or another copy of the package, of the given code if one is given. */
export function isGradwireError(error: unknown, code?: ErrorCode): error is GradwireError {
  if (typeof error !== 'object' || error === null || !(brand in error)) return false;
  return code === undefined || (error as unknown as GradwireError).code === code;
}

/** The error itself if it is one (of any realm), else an Error that says what was thrown. */
export function asError(thrown: unknown): Error {
  if (typeof thrown === 'object' && thrown !== null && 'message' in thrown && 'stack' in thrown) {
    return thrown as Error;
  }
  return new Error(`something that is not an error was thrown: ${textOf(thrown)}`);
}

/** What a thrown value says of itself, whatever it is. */
export function textOf(value: unknown): string {
  try {
    return String(value);
  } catch {
    return 'an object that cannot be read';
  }
}

/** The same error with what it does not say yet. One that is none of gradwire's stays as it is. */
export function withDetails(error: Error, details: ErrorDetails): Error {
  if (!isGradwireError(error)) return error;
  const { code, message, stack, cause } = error;
  const { peer, stage, maybeExecuted, elapsedMs, callId, remoteName, remoteStack } = error;
  const known = { peer, stage, maybeExecuted, elapsedMs, callId, remoteName, remoteStack };
  const said = Object.entries(known).filter(([, value]) => value !== undefined);
  const all = { ...details, ...Object.fromEntries(said), cause };
  const made = new GradwireError(code, message.replace(`${code}: `, ''), all);
  if (stack !== undefined) made.stack = stack;
  return made;
}
