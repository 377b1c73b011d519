/**
 * Errors as values: what of an error travels, and what it becomes. An error arrives as an instance of the nearest class
 * that the receiver knows too (registered by `registerValue`, or built in), made without running a constructor of it, with
 * name, message, stack, `cause`, and the `errors` of an AggregateError. Own fields travel if the class is registered; of other
 * errors `code` does, where it is a text or number, as Node's have it.
 */
import { types } from 'node:util';
import {
  ERROR_CODES,
  type ErrorCode,
  type ErrorDetails,
  GradwireError,
  isGradwireError,
} from '../errors.ts';
import { defineFields, type ValueClass, valueClassNamed, valueClassOf } from './value-classes.ts';
import type { Extension } from './value-codec.ts';

type Fields = Readonly<Record<string, unknown>>;

interface ErrorRecord {
  /** Nearest built-in class, or GradwireError. */
  readonly kind: string;
  /** Name of the registered class, if there is one. */
  readonly class?: string;
  readonly name: string;
  readonly message: string;
  readonly stack: string;
  readonly fields: Fields;
  readonly cause?: unknown;
  readonly errors?: readonly unknown[];
}

const BUILT_IN: Readonly<Record<string, new (message: string) => Error>> = {
  Error,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
};

/** Fields that have a place of their own, or none. */
const APART: ReadonlySet<string> = new Set(['message', 'stack', 'cause', 'errors']);

export const errorExtension: Extension<Error> = {
  tag: 4,
  is: isError,
  encode: (error): ErrorRecord => {
    const known = nearestClass(error);
    return {
      kind: kindOf(error),
      ...(known && { class: known.name }),
      name: travellingName(error),
      message: String(error.message),
      stack: String(error.stack ?? error.message),
      fields: fieldsOf(error),
      ...(Object.hasOwn(error, 'cause') && { cause: error.cause }),
      ...(isAggregate(error) && { errors: [...error.errors] }),
    };
  },
  decode: (plain) => made(readRecord(plain)),
};

/** Whether `value` is an error, of any realm. */
export function isError(value: unknown): value is Error {
  return types.isNativeError(value) || value instanceof Error;
}

export function isAggregate(error: Error): error is AggregateError {
  return kindOf(error) === 'AggregateError' && Array.isArray((error as AggregateError).errors);
}

/** The own fields of an error that travel: all data fields of a registered class or of GradwireError, else the code alone. */
export function fieldsOf(error: Error): Fields {
  const isWhole = isGradwireError(error) || nearestClass(error) !== undefined;
  const fields: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(Object.getOwnPropertyDescriptors(error))) {
    if (!field.enumerable || !('value' in field) || APART.has(key)) continue;
    const isCode = key === 'code' && ['string', 'number'].includes(typeof field.value);
    if (isWhole || isCode) fields[key] = field.value;
  }
  return fields;
}

/** What an error is called: its `name`, or, where its class sets none of its own, the name of the class. */
export function nameOfError(error: Error): string {
  const name = String(error.name);
  if (name !== kindOf(error)) return name;
  const Class: unknown = dataOf(Object.getPrototypeOf(error), 'constructor');
  const given: unknown = typeof Class === 'function' ? dataOf(Class, 'name') : undefined;
  return typeof given === 'string' && given !== '' ? given : name;
}

/** The `name` of an error as it arrives: a class that the receiver has too says it itself. */
export function travellingName(error: Error): string {
  const isKnown = valueClassOf(Object.getPrototypeOf(error)) !== undefined;
  return isKnown ? String(error.name) : nameOfError(error);
}

/** An error of the same classes, as far as they are known here, with what is given. Runs no constructor but built-in ones. */
export function likeError(error: Error, parts: Omit<ErrorRecord, 'kind' | 'class'>): Error {
  const known = nearestClass(error);
  return made({ kind: kindOf(error), ...(known && { class: known.name }), ...parts });
}

/** The registered class among those of an error. */
function nearestClass(error: Error): ValueClass | undefined {
  for (const level of levels(error)) {
    const known = valueClassOf(level);
    if (known !== undefined) return known;
  }
  return undefined;
}

/** By the names of the classes, because a built-in one may be of another realm. */
function kindOf(error: Error): string {
  if (isGradwireError(error)) return 'GradwireError';
  for (const level of levels(error)) {
    const Class = dataOf(level, 'constructor');
    if (typeof Class !== 'function') continue;
    if (Object.hasOwn(BUILT_IN, Class.name) || Class.name === 'AggregateError') return Class.name;
  }
  return 'Error';
}

function dataOf(object: object, key: string): unknown {
  return Object.getOwnPropertyDescriptor(object, key)?.value;
}

function* levels(error: Error): Generator<object> {
  for (let level = Object.getPrototypeOf(error) as object | null; level !== null; ) {
    yield level;
    level = Object.getPrototypeOf(level) as object | null;
  }
}

function made(record: ErrorRecord): Error {
  const { name, stack, fields } = record;
  const error = bare(record);
  error.stack = stack;
  const known = record.class === undefined ? undefined : valueClassNamed(record.class);
  if (known?.isError) Object.setPrototypeOf(error, known.prototype);
  if (!isGradwireError(error)) defineFields(error, fields);
  if (error.name !== name) hidden(error, 'name', name);
  if ('cause' in record) hidden(error, 'cause', record.cause);
  return error;
}

function bare({ kind, message, fields, errors }: ErrorRecord): Error {
  if (kind === 'AggregateError') return new AggregateError(errors ?? [], message);
  if (kind === 'GradwireError') return gradwireError(message, fields);
  const Class = Object.hasOwn(BUILT_IN, kind) ? BUILT_IN[kind] : undefined;
  return new (Class ?? Error)(message);
}

function gradwireError(message: string, { code: given, ...rest }: Fields): GradwireError {
  const isCode = typeof given === 'string' && Object.hasOwn(ERROR_CODES, given);
  const code = isCode ? (given as ErrorCode) : 'remote_error';
  const details: Record<string, unknown> = {};
  for (const [key, type] of Object.entries(DETAILS)) {
    if (typeof rest[key] === type) details[key] = rest[key];
  }
  return new GradwireError(code, message.replace(`${code}: `, ''), details);
}

const DETAILS: Readonly<Record<keyof ErrorDetails, string>> = {
  peer: 'string',
  stage: 'string',
  maybeExecuted: 'boolean',
  elapsedMs: 'number',
  callId: 'number',
  remoteName: 'string',
  remoteStack: 'string',
};

function hidden(error: Error, key: string, value: unknown): void {
  Object.defineProperty(error, key, { value, writable: true, configurable: true });
}

/** @throws GradwireError `protocol_error` */
function readRecord(plain: unknown): ErrorRecord {
  const record = Object(plain) as Readonly<Record<string, unknown>>;
  const { class: name, fields, errors } = record;
  const isWhole =
    ['kind', 'name', 'message', 'stack'].every((key) => typeof record[key] === 'string') &&
    (name === undefined || typeof name === 'string') &&
    (errors === undefined || Array.isArray(errors)) &&
    typeof fields === 'object' &&
    fields !== null;
  if (isWhole) return record as unknown as ErrorRecord;
  throw new GradwireError('protocol_error', 'an error came that is none', { stage: 'decode' });
}
