/** What of a class peers may call: plain methods, on its prototypes and on itself. Reflection alone; knows no names of peers. */

// biome-ignore lint/suspicious/noExplicitAny: what is registered is checked by the types of the calls
export type AnyFunction = (...args: any[]) => unknown;

/** The data property `key` of `holder` itself, if it is a function; accessors are never run. */
export function dataProperty(holder: unknown, key: string): AnyFunction | undefined {
  if (!isHolder(holder)) return undefined;
  const value: unknown = Object.getOwnPropertyDescriptor(holder, key)?.value;
  return typeof value === 'function' ? (value as AnyFunction) : undefined;
}

/**
 * Methods of a prototype and those below it, down to that of Object, nearest first. What one has under a name, an
 * accessor too, hides what is below. Never `constructor`, `then`, or a name that begins with `_`.
 */
export function* methodsFrom(top: unknown): Generator<[name: string, method: AnyFunction]> {
  const seen = new Set<string>();
  for (let level = top; isBelowRoot(level, 1); level = Object.getPrototypeOf(level)) {
    for (const name of namesOf(level, seen)) {
      const method = dataProperty(level, name);
      if (method !== undefined) yield [name, method];
    }
  }
}

/**
 * Static methods of a class and its base classes, nearest first. Only what the body of a class defines as a method: what
 * is stored in a static field may be anything.
 */
export function* staticMethodsFrom(top: unknown): Generator<[name: string, method: AnyFunction]> {
  const seen = new Set<string>();
  for (let level = top; isBelowRoot(level, 2); level = Object.getPrototypeOf(level)) {
    for (const name of namesOf(level, seen)) {
      const method = dataProperty(level, name);
      const isField = Object.getOwnPropertyDescriptor(level, name)?.enumerable === true;
      if (method !== undefined && !isField) yield [name, method];
    }
  }
}

function* namesOf(level: object, seen: Set<string>): Generator<string> {
  for (const name of Object.getOwnPropertyNames(level)) {
    if (name === 'constructor' || name === 'then' || name.startsWith('_')) continue;
    if (seen.has(name)) continue;
    seen.add(name);
    yield name;
  }
}

/** Whether more than the last `roots` of the prototypes, Object's and Function's of any realm, are still to come. */
function isBelowRoot(level: unknown, roots: number): level is object {
  let next = level;
  for (let i = 0; i < roots && isHolder(next); i++) next = Object.getPrototypeOf(next);
  return isHolder(next);
}

function isHolder(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}
