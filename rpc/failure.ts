/** Errors on the wire: what a failed request sends back, and the error that its caller gets. */
import { asError, ERROR_CODES, type ErrorCode, GradwireError, isGradwireError } from '../errors.ts';

interface WireFailure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly name: string;
  readonly stack: string;
  /** Worker on which the error was made, when that is not the one that sends it. */
  readonly peer?: string;
  readonly maybeExecuted?: boolean;
}

/** The built-in classes that the caller's `cause` is made of again; others become Error. */
const BUILT_IN: Readonly<Record<string, ErrorConstructor>> = {
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
};

/** The plain value that stands for what a handler threw. */
export function toWire(thrown: unknown): object {
  const error = asError(thrown);
  const stack = String(error.stack ?? error.message);
  if (!isGradwireError(error)) {
    return {
      code: 'remote_error',
      message: String(error.message),
      name: String(error.name),
      stack,
    };
  }
  const { code, message, name, peer, remoteName, remoteStack, maybeExecuted } = error;
  return {
    code,
    message: message.replace(`${code}: `, ''),
    name: remoteName ?? name,
    stack: remoteStack ?? stack,
    peer,
    maybeExecuted,
  } satisfies Partial<Record<keyof WireFailure, unknown>>;
}

/**
 * The error for the caller. What a remote function threw has code `remote_error`, class name, message and stack of the
 * original, and as `cause` an error of the same built-in class; failures of gradwire itself keep their code.
 *
 * @param what what was asked of the peer, such as `forward`
 */
export function fromWire(wire: unknown, peer: string, what: string): GradwireError {
  const { code, message, name, stack, ...rest } = wire as WireFailure;
  const known = Object.hasOwn(ERROR_CODES, code) ? code : 'remote_error';
  const origin = rest.peer ?? peer;
  const details = {
    peer: origin,
    stage: 'call',
    maybeExecuted: rest.maybeExecuted ?? true,
    remoteName: name,
    remoteStack: stack,
  };
  if (known !== 'remote_error' || rest.peer !== undefined) {
    const text = message.includes(origin) ? message : `${message} (${what} on ${origin})`;
    return new GradwireError(known, text, details);
  }
  const Class = Object.hasOwn(BUILT_IN, name) ? (BUILT_IN[name] as ErrorConstructor) : Error;
  const cause = new Class(message);
  cause.stack = stack;
  if (cause.name !== name) Object.defineProperty(cause, 'name', { value: name });
  return new GradwireError('remote_error', `${name}: ${message} (thrown by ${what} on ${origin})`, {
    ...details,
    cause,
  });
}
