/** What `RRef#getType` says of a value. */
import { tf } from '../tensor/index.ts';

/** What kind of object it is, by the name of its class. */
export function typeName(value: unknown): string {
  if (typeof value !== 'object' || value === null) return value === null ? 'null' : typeof value;
  if (value instanceof tf.Variable) return 'Variable';
  if (value instanceof tf.Tensor) return 'Tensor';
  const Class: unknown = Object.getPrototypeOf(value)?.constructor;
  return typeof Class === 'function' ? Class.name : 'Object';
}
