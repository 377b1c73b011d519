/**
 * What of a thrown error may be sent as a failure: a copy that is bounded and can be encoded whatever it was. Failures must
 * arrive, so here what cannot be sent is cut, where a value would be refused.
 */
import { fieldsOf, isAggregate, isError, likeError } from './error-values.ts';
import { isRecord } from './value-kinds.ts';

/** Longest message or stack that is sent. */
const MAX_TEXT_LENGTH = 16_384;
/** Errors in a chain of causes, and in all. */
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
  return copy(error, { ancestors: new Set(), left: MAX_ERRORS });
}

interface Walk {
  readonly ancestors: Set<unknown>;
  left: number;
}

function copy(error: Error, walk: Walk): Error {
  walk.left--;
  walk.ancestors.add(error);
  const budget = { left: MAX_FIELDS };
  const fields = Object.entries(fieldsOf(error)).filter(([, value]) => isData(value, budget));
  const { cause } = error;
  const made = likeError(error, {
    name: text(error.name),
    message: text(error.message),
    stack: text(error.stack ?? error.message),
    fields: Object.fromEntries(fields),
    ...(cause !== undefined && canFollow(cause, walk) && { cause: reason(cause, walk) }),
    ...(isAggregate(error) && {
      errors: error.errors.filter((one) => canFollow(one, walk)).map((one) => reason(one, walk)),
    }),
  });
  walk.ancestors.delete(error);
  return made;
}

function canFollow(reason: unknown, { ancestors, left }: Walk): boolean {
  return left > 0 && ancestors.size < MAX_CHAIN && !ancestors.has(reason);
}

/** Anything can be a cause. */
function reason(value: unknown, walk: Walk): unknown {
  if (isError(value)) return walk.left > 0 ? copy(value, walk) : undefined;
  if (typeof value === 'string') return text(value);
  return isData(value, { left: MAX_FIELDS }) ? value : text(value);
}

/** Primitives, dates, and arrays and records of them, without accessors. */
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
