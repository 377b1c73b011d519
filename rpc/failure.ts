/** Errors on the wire: what a failed request sends back, and the error that its caller gets. */
import { asError, ERROR_CODES, type ErrorCode, GradwireError, isGradwireError } from '../errors.ts';
import { copyError, text } from './error-copies.ts';
import { isError, likeError, nameOfError } from './error-values.ts';

interface WireFailure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly name: string;
  readonly stack: string;
  /** Worker on which the error was made, when that is not the one that sends it. */
  readonly peer: string | undefined;
  readonly maybeExecuted: boolean | undefined;
  /** What was thrown; for an error of gradwire what that was caused by. */
  readonly cause: unknown;
}

/**
 * The value that stands for what a handler threw, whatever that is: plain data and errors. Never throws.
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
  if (!isGradwireError(error)) {
    const cause = copyError(error);
    const { message, stack } = cause;
    const name = text(nameOfError(cause));
    return { code: 'remote_error', message, name, stack, maybeExecuted: hasBegun, cause };
  }
  const { code, message, name, peer, remoteName, remoteStack, maybeExecuted, cause } = error;
  return {
    code: text(code),
    message: text(message).replace(`${code}: `, ''),
    name: text(remoteName ?? name),
    stack: text(remoteStack ?? error.stack ?? error.message),
    peer: peer === undefined ? undefined : text(peer),
    maybeExecuted: hasBegun || maybeExecuted === true,
    cause: isError(cause) ? copyError(cause) : undefined,
  };
}

/**
 * The error for the caller. What a remote function threw has code `remote_error`, class name, message and stack of the
 * original, and as `cause` the original as far as it can be sent; failures of gradwire itself keep their code and cause.
 *
 * @param what what was asked of the peer, such as `forward`
 */
export function fromWire(wire: unknown, peer: string, what: string): GradwireError {
  const { code, message, name, stack, cause, ...rest } = readFailure(wire);
  const origin = rest.peer ?? peer;
  const details = {
    peer: origin,
    stage: rest.maybeExecuted === false ? 'receive' : 'execute',
    maybeExecuted: rest.maybeExecuted ?? true,
    remoteName: name,
    remoteStack: stack,
  };
  if (code !== 'remote_error' || rest.peer !== undefined) {
    const said = message.includes(origin) ? message : `${message} (${what} on ${origin})`;
    return new GradwireError(code, said, { ...details, cause });
  }
  return new GradwireError('remote_error', `${name}: ${message} (thrown by ${what} on ${origin})`, {
    ...details,
    cause,
  });
}

/** @throws GradwireError `protocol_error` */
function readFailure(wire: unknown): WireFailure {
  if (typeof wire !== 'object' || wire === null) {
    throw new GradwireError('protocol_error', 'a failure without a description');
  }
  const fields = wire as Readonly<Record<string, unknown>>;
  const code = said(fields['code']);
  const { peer, maybeExecuted, cause } = fields;
  const isOfUser = !Object.hasOwn(ERROR_CODES, code) || code === 'remote_error';
  const texts = {
    message: harmless(fields['message']),
    name: harmless(fields['name']),
    stack: harmless(fields['stack']),
  };
  // What could not be read at its origin has no error of its own.
  const stand = (): Error | undefined =>
    isOfUser ? likeError(new Error(), { ...texts, fields: {} }) : undefined;
  return {
    ...texts,
    code: isOfUser ? 'remote_error' : (code as ErrorCode),
    peer: typeof peer === 'string' ? harmless(peer) : undefined,
    maybeExecuted: typeof maybeExecuted === 'boolean' ? maybeExecuted : undefined,
    cause: isError(cause) ? withoutControls(cause) : stand(),
  };
}

/** What a peer says ends up in logs and terminals: no control characters but tabs and ends of lines, and a bound. */
function harmless(value: unknown): string {
  return text(said(value)).replace(CONTROLS, '\u{fffd}');
}

const CONTROLS = /[^\P{Cc}\n\t]/gu;
const MAX_CAUSES = 16;

/** The same for the texts of an error that came, and of what it goes back to. */
function withoutControls(error: Error): Error {
  let current: unknown = error;
  for (let depth = 0; depth < MAX_CAUSES && isError(current); depth++) {
    for (const key of ['name', 'message', 'stack'] as const) {
      const given = current[key];
      const clean = harmless(given);
      if (given !== undefined && given !== clean) {
        Object.defineProperty(current, key, { value: clean, configurable: true, writable: true });
      }
    }
    current = current.cause;
  }
  return error;
}

/** A text that a peer sent; what is none cannot be made one. */
function said(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
