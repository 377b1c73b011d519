/**
 * Finds the tensors in a value: through arrays, Maps, Sets, plain records and instances of classes that are values;
 * never into other class instances. Only reads data properties, so no getter of a user runs.
 */
import * as tf from './tf.ts';

/** Containers nested deeper than this are not looked into; no value that can be sent is. */
const MAX_DEPTH = 64;

/** Prototypes of the classes that are values. */
const values: WeakSet<object> = new WeakSet();

/** Instances with this prototype are values: the tensors in their own fields count as those in records do. */
export function lookInto(prototype: object): void {
  values.add(prototype);
}

/** Tensors (Variables included) in `value`, each once, in the order they stand; a cycle is walked once. */
export function collectTensors(value: unknown): tf.Tensor[] {
  const found = new Set<tf.Tensor>();
  collect(value, { found, seen: new Set() }, 0);
  return [...found];
}

/** Tensors in the own fields of `target`, which may be an instance of any class. */
export function collectOwnTensors(target: object): tf.Tensor[] {
  const found = new Set<tf.Tensor>();
  const walk: Walk = { found, seen: new Set([target]) };
  collectElements(target, walk, 0);
  collectFields(target, walk, 0);
  return [...found];
}

interface Walk {
  readonly found: Set<tf.Tensor>;
  readonly seen: Set<object>;
}

function collect(value: unknown, walk: Walk, depth: number): void {
  if (typeof value !== 'object' || value === null) return;
  if (value instanceof tf.Tensor) {
    walk.found.add(value);
    return;
  }
  if (depth > MAX_DEPTH || walk.seen.has(value)) return;
  walk.seen.add(value);
  collectElements(value, walk, depth);
  if (isValue(value)) collectFields(value, walk, depth);
}

function collectElements(value: object, walk: Walk, depth: number): void {
  if (Array.isArray(value) || value instanceof Set) {
    for (const element of value) collect(element, walk, depth + 1);
  } else if (value instanceof Map) {
    for (const [key, element] of value) {
      collect(key, walk, depth + 1);
      collect(element, walk, depth + 1);
    }
  }
}

function collectFields(value: object, walk: Walk, depth: number): void {
  if (Array.isArray(value)) return;
  for (const field of Object.values(Object.getOwnPropertyDescriptors(value))) {
    collect(field.value, walk, depth + 1);
  }
}

/** A plain record of any realm (its prototype is null or the end of a chain), or an instance of a class that is a value. */
function isValue(value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as object | null;
  if (prototype === null || Object.getPrototypeOf(prototype) === null) return true;
  return values.has(prototype);
}
