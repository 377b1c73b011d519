/**
 * What peers may call in this process: functions and classes by name, and the methods that those classes define. Look-up
 * is by name alone and only among own keys; nothing received is ever code (guarantee G3). One table for the process: every
 * worker in it serves the same names.
 */
import { GradwireError } from '../errors.ts';
import { type AnyFunction, dataProperty, methodsFrom, staticMethodsFrom } from './class-methods.ts';
import { didYouMean } from './nearest.ts';

// biome-ignore lint/suspicious/noExplicitAny: what is registered is checked by the types of the calls
type AnyClass = abstract new (...args: any[]) => unknown;
export type Callable = AnyFunction | AnyClass;
export type { AnyFunction } from './class-methods.ts';

const byName = new Map<string, Callable>();
const byValue = new Map<Callable, string>();
/** Stand-ins made by `named`. */
const standIns = new WeakMap<Callable, string>();
/** Static methods of registered classes, by the names that peers know them by. */
const staticNames = new WeakMap<Callable, string>();
/** Methods of the objects of registered classes, for messages. */
const methodNames = new WeakMap<Callable, string>();

/** What a name stands for: the function with its `this`, or the class. */
export interface Target {
  readonly callable: Callable;
  /** The class of a static method. */
  readonly self: unknown;
}

/**
 * Makes functions and classes callable by peers, under the names of the record's own keys. Register before `init`, the
 * same names in every process. Registering the same thing again does nothing.
 *
 * A class brings its methods: those of its objects for references, and its static ones as functions, called with the class
 * as `this`: `rpc.register({ Model })`, then `rpc.rpcSync('b', Model.build, [2])`. A static method that a class inherits
 * is called on the class that defines it; `rpc.named<typeof Sub.build>('Sub.build')` calls it on the other. A function
 * that is registered by itself has no `this`.
 *
 * @throws GradwireError `already_registered` if a name stands for something else, `invalid_argument`
 */
export function register(entries: Readonly<Record<string, Callable>>): void {
  if (typeof entries !== 'object' || entries === null) {
    throw new GradwireError('invalid_argument', 'register takes a record: rpc.register({ fn })');
  }
  for (const name of Object.keys(entries)) {
    const value = entries[name];
    if (name === '') {
      throw new GradwireError('invalid_argument', 'register needs a name for each function');
    }
    if (typeof value !== 'function') {
      throw new GradwireError('invalid_argument', `${name} is not a function or class`);
    }
    const known = byName.get(name);
    if (known !== undefined && known !== value) {
      throw new GradwireError('already_registered', `${name} is registered for something else`);
    }
    byName.set(name, value);
    if (byValue.has(value)) continue;
    byValue.set(value, name);
    if (asClass(value) !== undefined) nameMethods(name, value);
  }
}

function nameMethods(name: string, Class: Callable): void {
  for (const [key, method] of staticMethodsFrom(Class)) {
    const isOwn = Object.hasOwn(Class, key);
    if (isOwn || !staticNames.has(method)) staticNames.set(method, `${name}.${key}`);
  }
  for (const [key, method] of methodsFrom(Class.prototype)) {
    if (!methodNames.has(method)) methodNames.set(method, `${name}'s ${key}`);
  }
}

/**
 * A stand-in for a function or class that is registered under this name by the peer but not loaded here; it can be given
 * to calls wherever the function itself could. `rpc.named<typeof getParameterServer>('getParameterServer')`
 *
 * @throws GradwireError `invalid_argument` if the name is none
 */
export function named<T extends Callable>(name: string): T {
  if (typeof name !== 'string' || name === '') {
    throw new GradwireError(
      'invalid_argument',
      `${String(name)} is not the name of a function or class`,
    );
  }
  const standIn = (): never => {
    throw new GradwireError('not_registered', `${name} is a stand-in: give it to an rpc call`);
  };
  standIns.set(standIn, name);
  return standIn as unknown as T;
}

/** The name under which the callee knows `callable`. @throws GradwireError `not_registered`, `invalid_argument` */
export function nameOf(callable: Callable): string {
  if (typeof callable !== 'function') {
    throw new GradwireError(
      'invalid_argument',
      `${String(callable)} is not a function or class; for a name alone use rpc.named(name)`,
    );
  }
  const name = byValue.get(callable) ?? standIns.get(callable) ?? staticNames.get(callable);
  if (name !== undefined) return name;
  const method = methodNames.get(callable);
  if (method !== undefined) {
    throw new GradwireError(
      'not_registered',
      `${method} is a method of its objects: call it on a reference, rref.rpcSync().${callable.name}(…)`,
      { maybeExecuted: false },
    );
  }
  throw new GradwireError(
    'not_registered',
    `${callable.name || 'an anonymous function'} was not registered: call rpc.register({ ` +
      `${callable.name || 'name'} }) in every process before rpc.init`,
    { maybeExecuted: false },
  );
}

/** What is registered here under `name`. @throws GradwireError `unknown_function` with near names */
export function lookUp(name: unknown): Target {
  const text = typeof name === 'string' ? name : '';
  const callable = byName.get(text);
  if (callable !== undefined) return { callable, self: undefined };
  const dot = text.lastIndexOf('.');
  const className = text.slice(0, Math.max(0, dot));
  const Class = byName.get(className);
  const statics = Class !== undefined && asClass(Class) !== undefined ? Class : undefined;
  const names: string[] = [];
  for (const [key, method] of staticMethodsFrom(statics)) {
    if (key === text.slice(dot + 1)) return { callable: method, self: statics };
    names.push(`${className}.${key}`);
  }
  names.push(...byName.keys());
  const hint = didYouMean(String(name), names);
  throw new GradwireError(
    'unknown_function',
    `no function or class ${String(name)} is registered.${hint}`,
  );
}

/** The callable as a class, to be constructed; undefined for a function, to be called. */
export function asClass(callable: Callable): (new (...args: unknown[]) => unknown) | undefined {
  const isClass = /^class\b/.test(Function.prototype.toString.call(callable));
  return isClass ? (callable as new (...args: unknown[]) => unknown) : undefined;
}

/**
 * The method of a remote object: a function that is a data property of the prototype of its registered class or of a base
 * class of that. Never an accessor, a symbol, `constructor`, `then`, a name that begins with `_`, or what the object itself
 * carries.
 *
 * @throws GradwireError `unknown_method`
 */
export function methodOf(target: unknown, name: unknown): AnyFunction {
  const isObject = typeof target === 'object' && target !== null;
  const top: unknown = isObject ? Object.getPrototypeOf(target) : undefined;
  const made = dataProperty(top, 'constructor');
  if (!isObject || made === undefined || !byValue.has(made)) {
    const what = made === undefined ? typeof target : `an object of class ${made.name}`;
    throw new GradwireError(
      'unknown_method',
      `the reference holds ${what}, whose class is not registered: it has no remote methods`,
    );
  }
  const names: string[] = [];
  for (const [key, method] of methodsFrom(top)) {
    if (key === name) return method;
    names.push(key);
  }
  const hint = didYouMean(String(name), names);
  throw new GradwireError(
    'unknown_method',
    `${made.name} has no remote method ${String(name)}.${hint}`,
  );
}

/** Whether the class of the object is registered. */
export function isRegisteredInstance(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  const made = dataProperty(Object.getPrototypeOf(value), 'constructor');
  return made !== undefined && byValue.has(made);
}
