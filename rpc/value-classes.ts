/**
 * Classes whose instances travel by value, by name. Part of guarantee G3: what comes names a class that this process has
 * registered itself, and becomes an instance of it without any code of the sender.
 */
import { GradwireError } from '../errors.ts';
import { lookInto } from '../tensor/index.ts';
import { didYouMean } from './nearest.ts';
import { isNative } from './value-kinds.ts';

/**
 * How instances of a class travel, where their own fields do not say it all. Both run in the middle of a message: they are
 * synchronous and make no tensors.
 */
export interface ValueCodec<T, P = unknown> {
  /** What stands for `value`: anything that can be sent, tensors, references and other instances too. */
  encode(value: T): P;
  /**
   * The instance for what `encode` made. Check it: a peer may send anything. It runs before the message is handled: no worker is
   * current (`rpc.getWorkerInfo()` may fail), and no call, context or scope of the handler.
   */
  decode(plain: P): T;
}

/** A class: what it makes has this prototype, whoever may construct it. */
interface ClassOf<T> {
  readonly prototype: T;
}

export interface ValueClass {
  readonly name: string;
  readonly prototype: object;
  readonly isError: boolean;
  /** Undefined: own fields travel. */
  readonly codec: ValueCodec<object> | undefined;
}

const byName = new Map<string, ValueClass>();
const byPrototype = new Map<unknown, ValueClass>();

/**
 * Lets instances of classes travel by value, under the names of the record's own keys; one table for the process. Register in
 * every process that sends or gets them, before `init`. Registering the same again does nothing. The closest in PyTorch is
 * pickling, which needs no registration because it runs code.
 *
 * Own enumerable fields travel, whatever of the closed set they hold; no constructor runs at the receiver, and neither
 * `#private` fields nor accessors of the class are touched. A class with `#private` fields, or one that extends a built-in
 * class, needs a codec, and then stands alone in the record. Subclasses are registered for themselves. Error classes take no
 * codec; they arrive as themselves also as the `cause` of a call's failure. Tensors in instances belong to the receiver as
 * those in records do.
 *
 * @throws GradwireError `already_registered` if a name or class is registered otherwise, `invalid_argument`
 */
export function registerValue(classes: Readonly<Record<string, ClassOf<object>>>): void;
export function registerValue<T extends object, P>(
  classes: Readonly<Record<string, ClassOf<T>>>,
  codec: ValueCodec<T, P>,
): void;
export function registerValue(
  classes: Readonly<Record<string, ClassOf<object>>>,
  codec?: ValueCodec<object>,
): void {
  if (typeof classes !== 'object' || classes === null) {
    throw invalid('registerValue takes a record: rpc.registerValue({ Point })');
  }
  const names = Object.keys(classes);
  if (codec !== undefined) checkCodec(codec, names);
  for (const name of names) add(name, classes[name], codec);
}

/** The registered class whose instances have this prototype. */
export function valueClassOf(prototype: unknown): ValueClass | undefined {
  return byPrototype.get(prototype);
}

/** The class that is registered under `name`, undefined if there is none. */
export function valueClassNamed(name: string): ValueClass | undefined {
  return byName.get(name);
}

/**
 * An instance of the class named by a peer.
 *
 * @throws GradwireError `unknown_function` if there is none of this name, `protocol_error` if its fields are no record,
 * `unsupported_value` if its codec fails
 */
export function makeInstance(name: string, plain: unknown): object {
  const known = byName.get(name);
  if (known === undefined || known.isError) {
    const message = `no value class ${name} is registered: rpc.registerValue({ ${name} }) in every process.`;
    throw new GradwireError('unknown_function', message + didYouMean(name, byName.keys()));
  }
  return known.codec === undefined ? withFields(known, plain) : decoded(known, known.codec, plain);
}

/** Fields are defined, not assigned: no setter of the class runs. */
export function defineFields(target: object, fields: Readonly<Record<string, unknown>>): void {
  for (const key of Object.keys(fields)) {
    Object.defineProperty(target, key, {
      value: fields[key],
      writable: true,
      enumerable: true,
      configurable: true,
    });
  }
}

function withFields({ name, prototype }: ValueClass, plain: unknown): object {
  const isFields =
    typeof plain === 'object' &&
    plain !== null &&
    Object.getPrototypeOf(plain) === Object.prototype;
  if (!isFields) {
    const message = `a ${name} came that is no record of fields: register it alike in every process`;
    throw new GradwireError('protocol_error', message, { stage: 'decode' });
  }
  const instance = Object.create(prototype) as object;
  defineFields(instance, plain as Readonly<Record<string, unknown>>);
  return instance;
}

function decoded(known: ValueClass, codec: ValueCodec<object>, plain: unknown): object {
  let cause: unknown;
  try {
    const value: unknown = codec.decode(plain);
    if (isInstance(value, known.prototype)) return value;
    cause = new TypeError('decode gave something else');
  } catch (error) {
    cause = error;
  }
  const message = `a ${known.name} came that cannot be decoded: ${cause}`;
  throw new GradwireError('unsupported_value', message, { stage: 'decode', cause });
}

function isInstance(value: unknown, prototype: object): value is object {
  return Object.prototype.isPrototypeOf.call(prototype, value as object);
}

function checkCodec(codec: unknown, names: readonly string[]): void {
  const { encode, decode } = (codec ?? {}) as Partial<ValueCodec<object>>;
  if (typeof encode !== 'function' || typeof decode !== 'function') {
    throw invalid('a codec has two functions: { encode, decode }');
  }
  if (names.length !== 1) {
    throw invalid(`a codec speaks for one class, not for ${names.length}: ${names.join(', ')}`);
  }
}

function add(name: string, Class: unknown, codec: ValueCodec<object> | undefined): void {
  const prototype: unknown = typeof Class === 'function' ? Class.prototype : undefined;
  if (name === '' || typeof prototype !== 'object' || prototype === null) {
    throw invalid(`${name === '' ? 'the empty name' : name} does not stand for a class`);
  }
  const builtIn = builtInBase(prototype);
  const base = builtIn?.prototype;
  const isError = base === Error.prototype || base instanceof Error;
  const isItself = base === prototype;
  if (isItself || (isError && codec !== undefined)) {
    throw invalid(
      `${name} is ${isItself ? 'a built-in class' : 'an error class: those take no codec'}`,
    );
  }
  if (builtIn !== undefined && !isError && codec === undefined) {
    throw invalid(`${name} extends ${builtIn.name}: give a codec, own fields do not say it all`);
  }
  const known = byName.get(name);
  const same = byPrototype.get(prototype);
  if ((known !== undefined && known.prototype !== prototype) || (same && same.codec !== codec)) {
    throw new GradwireError('already_registered', `${name} is registered for something else`);
  }
  const entry: ValueClass = same ?? { name, prototype, isError, codec };
  byName.set(name, entry);
  byPrototype.set(prototype, entry);
  lookInto(prototype);
}

/** The first built-in class below Object in a chain of prototypes. */
function builtInBase(prototype: object): { name: string; prototype: object } | undefined {
  for (let level: object = prototype; ; ) {
    const next = Object.getPrototypeOf(level) as object | null;
    if (next === null) return undefined;
    const made: unknown = Object.getOwnPropertyDescriptor(level, 'constructor')?.value;
    if (typeof made === 'function' && isNative(made)) {
      return { name: made.name, prototype: level };
    }
    level = next;
  }
}

function invalid(message: string): GradwireError {
  return new GradwireError('invalid_argument', message);
}
