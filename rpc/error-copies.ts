/**
 * What of a thrown error may be sent as a failure: a copy that is bounded and can be encoded whatever it was. Failures must
 * arrive, so here what cannot be sent is cut, where a value would be refused.
 */
import { fieldsOf, isAggregate, isError, likeError, travellingName } from './error-values.ts';
import { isRecord } from './value-kinds.ts';

/** Longest message or stack that is sent. */
const MAX_TEXT_LENGTH = 16_384;
/** Errors in a chain of causes, and what they go back to in all. */
const MAX_CHAIN = 16;
const MAX_ERRORS = 64;
/** Values in the fields of one error, and how deep. */
const MAX_FIELDS = 1000;
const MAX_FIELD_DEPTH = 4;

export function text(value: unknown): string {
  const whole = String(value);
  return whole.length > MAX_TEXT_LENGTH ? `${whole.slice(0, MAX_TEXT_LENGTH)}…` : whole;
}

/**
 * A copy of the same class with plain data alone: tensors, references, instances and what contains itself are left out of its
 * fields, and a chain of causes ends where it repeats itself or gets too long. What its getters throw is thrown.
 */
export function copyError(error: Error): Error {
  return copy(error, { ancestors: new Set(), left: MAX_ERRORS - 1 });
}

interface Walk {
  readonly ancestors: Set<unknown>;
  left: number;
}

function copy(error: Error, walk: Walk): Error {
  walk.ancestors.add(error);
  const budget = { left: MAX_FIELDS };
  const fields = Object.entries(fieldsOf(error)).filter(([, value]) => isData(value, budget));
  const [cause] = error.cause === undefined ? [] : reasons([error.cause], walk);
  const made = likeError(error, {
    name: text(travellingName(error)),
    message: text(error.message),
    stack: text(error.stack ?? error.message),
    fields: Object.fromEntries(fields),
    ...(cause !== undefined && { cause }),
    ...(isAggregate(error) && { errors: reasons(error.errors, walk) }),
  });
  walk.ancestors.delete(error);
  return made;
}

/** What errors go back to, which can be anything. */
function reasons(values: readonly unknown[], walk: Walk): unknown[] {
  const copies: unknown[] = [];
  for (const value of values) {
    if (walk.left === 0 || walk.ancestors.size === MAX_CHAIN) break;
    if (walk.ancestors.has(value)) continue;
    walk.left--;
    if (isError(value)) copies.push(copy(value, walk));
    else copies.push(isData(value, { left: MAX_FIELDS }) ? value : text(value));
  }
  return copies;
}

/** Primitives, and arrays and records of them, without accessors. */
function isData(value: unknown, budget: { left: number }, depth = 0): boolean {
  if (--budget.left < 0) return false;
  if (typeof value === 'string') return value.length <= MAX_TEXT_LENGTH;
  if (typeof value === 'function' || typeof value === 'symbol') return false;
  if (typeof value !== 'object' || value === null) return true;
  if (depth >= MAX_FIELD_DEPTH || !(isPlainArray(value) || isRecord(value))) return false;
  return Object.entries(Object.getOwnPropertyDescriptors(value)).every(
    ([key, field]) =>
      !field.enumerable ||
      ('value' in field && key !== '__proto__' && isData(field.value, budget, depth + 1)),
  );
}

function isPlainArray(value: object): boolean {
  return Array.isArray(value) && Object.getPrototypeOf(value) === Array.prototype;
}
