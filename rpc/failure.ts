/** Errors on the wire: what a failed request sends back, and the error that its caller gets. */
import { asError, ERROR_CODES, type ErrorCode, GradwireError, isGradwireError } from '../errors.ts';

interface WireFailure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly name: string;
  readonly stack: string;
  /** Worker on which the error was made, when that is not the one that sends it. */
  readonly peer: string | undefined;
  readonly maybeExecuted: boolean | undefined;
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

/** Longest message or stack that is sent. */
const MAX_TEXT_LENGTH = 16_384;

/**
 * The plain value that stands for what a handler threw, whatever that is. Never throws.
 *
 * @param hasBegun whether code of the user ran for this request: then the error says so, whatever `thrown` says; if not,
 * only an error of what ran before, such as a creation, says that something did
 */
export function toWire(thrown: unknown, hasBegun = true): object {
  try {
    return describe(thrown, hasBegun);
  } catch {
    const message = 'something was thrown that cannot be read';
    return { code: 'remote_error', message, name: 'Error', stack: '', maybeExecuted: hasBegun };
  }
}

function describe(thrown: unknown, hasBegun: boolean): object {
  const error = asError(thrown);
  const stack = text(error.stack ?? error.message);
  if (!isGradwireError(error)) {
    const [said, called] = [text(error.message), text(error.name)];
    return { code: 'remote_error', message: said, name: called, stack, maybeExecuted: hasBegun };
  }
  const { code, message, name, peer, remoteName, remoteStack, maybeExecuted } = error;
  return {
    code: text(code),
    message: text(message).replace(`${code}: `, ''),
    name: text(remoteName ?? name),
    stack: text(remoteStack ?? stack),
    peer: peer === undefined ? undefined : text(peer),
    maybeExecuted: hasBegun || maybeExecuted === true,
  };
}

function text(value: unknown): string {
  const whole = String(value);
  return whole.length > MAX_TEXT_LENGTH ? `${whole.slice(0, MAX_TEXT_LENGTH)}…` : whole;
}

/**
 * The error for the caller. What a remote function threw has code `remote_error`, class name, message and stack of the
 * original, and as `cause` an error of the same built-in class; failures of gradwire itself keep their code.
 *
 * @param what what was asked of the peer, such as `forward`
 */
export function fromWire(wire: unknown, peer: string, what: string): GradwireError {
  const { code, message, name, stack, ...rest } = readFailure(wire);
  const origin = rest.peer ?? peer;
  const details = {
    peer: origin,
    stage: 'call',
    maybeExecuted: rest.maybeExecuted ?? true,
    remoteName: name,
    remoteStack: stack,
  };
  if (code !== 'remote_error' || rest.peer !== undefined) {
    const said = message.includes(origin) ? message : `${message} (${what} on ${origin})`;
    const cause = code === 'remote_error' ? { cause: original(name, message, stack) } : {};
    return new GradwireError(code, said, { ...details, ...cause });
  }
  return new GradwireError('remote_error', `${name}: ${message} (thrown by ${what} on ${origin})`, {
    ...details,
    cause: original(name, message, stack),
  });
}

/** An error of the class that was thrown, as far as that is a built-in one. */
function original(name: string, message: string, stack: string): Error {
  const Class = Object.hasOwn(BUILT_IN, name) ? (BUILT_IN[name] as ErrorConstructor) : Error;
  const error = new Class(message);
  error.stack = stack;
  if (error.name !== name) Object.defineProperty(error, 'name', { value: name });
  return error;
}

/** @throws GradwireError `protocol_error` */
function readFailure(wire: unknown): WireFailure {
  if (typeof wire !== 'object' || wire === null) {
    throw new GradwireError('protocol_error', 'a failure without a description');
  }
  const fields = wire as Readonly<Record<string, unknown>>;
  const code = String(fields['code']);
  const { peer, maybeExecuted } = fields;
  return {
    code: Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCode) : 'remote_error',
    message: String(fields['message']),
    name: String(fields['name']),
    stack: String(fields['stack']),
    peer: typeof peer === 'string' ? peer : undefined,
    maybeExecuted: typeof maybeExecuted === 'boolean' ? maybeExecuted : undefined,
  };
}
