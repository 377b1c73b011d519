/** What kind of object a value is, in whatever realm it was made, without running anything of its own. Pure. */
import { types } from 'node:util';

/**
 * Plain objects of any realm: those without a prototype, or with a root prototype that is an Object.prototype rather than
 * that of a class without a base.
 */
export function isRecord(value: object): value is Readonly<Record<string, unknown>> {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === null || prototype === Object.prototype) return true;
  return (
    Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype as object, 'isPrototypeOf')
  );
}

/** Whether an array, Map, Set or Date is just that, not an instance of a subclass, which would arrive without its class. */
export function isBuiltIn(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Array.prototype || prototype === null) return true;
  const base: unknown = Object.getPrototypeOf(prototype);
  return base === null || Object.getPrototypeOf(base) === null;
}

/** What a value that cannot be sent is, and what to do about it. */
export function describe(value: object): string {
  if (types.isPromise(value)) return 'a promise; await it before you send it';
  if (types.isSharedArrayBuffer(value)) return 'shared memory; send a typed array over it';
  const Class = classOf(value);
  const name = Class?.name || '(none)';
  const what = `an object of class ${name}, which cannot be sent`;
  if (Class === undefined || isNative(Class)) return `${what}: send what it stands for`;
  return `${what}: rpc.registerValue({ ${name} }) in every process, or send a plain record or a reference to it`;
}

/** Whether a class is part of the language: its source text is not to be had. */
export function isNative(Class: object): boolean {
  return /\{\s*\[native code\]\s*\}$/.test(Function.prototype.toString.call(Class));
}

function classOf(value: object): { readonly name: unknown } | undefined {
  for (let level: unknown = value; level !== null; level = Object.getPrototypeOf(level)) {
    const made: unknown = Object.getOwnPropertyDescriptor(level, 'constructor')?.value;
    if (typeof made === 'function') return made;
  }
  return undefined;
}
