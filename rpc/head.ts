/** Checks of the fields of a message's head, which a peer may have made up. Pure. */
import { GradwireError } from '../errors.ts';
import type { ForkId, RRefId } from './reference-ids.ts';

const ID = /^\d{1,10}\.\d{1,16}$/;

/** The fields of a head. @throws GradwireError `protocol_error` */
export class Head {
  readonly #fields: readonly unknown[];

  constructor(head: unknown) {
    if (!Array.isArray(head)) throw malformed('no list of fields');
    this.#fields = head;
  }

  id(index: number): RRefId {
    return this.#id(index) as RRefId;
  }

  fork(index: number): ForkId {
    return this.#id(index) as ForkId;
  }

  text(index: number): string {
    const value = this.#fields[index];
    if (typeof value === 'string') return value;
    throw malformed(`no text in field ${index}`);
  }

  /** Text, or undefined for null. */
  optionalText(index: number): string | undefined {
    return this.#fields[index] === null ? undefined : this.text(index);
  }

  /** A whole number that is not negative. */
  count(index: number): number {
    return asCount(this.#fields[index]);
  }

  rank(index: number): number {
    return asRank(this.#fields[index]);
  }

  ranks(index: number): readonly number[] {
    const value = this.#fields[index];
    if (!Array.isArray(value)) throw malformed(`no ranks in field ${index}`);
    return value.map(asRank);
  }

  /** Whatever is there, to be checked by whoever asks. */
  field(index: number): unknown {
    return this.#fields[index];
  }

  list(index: number): readonly unknown[] {
    const value = this.#fields[index];
    if (Array.isArray(value)) return value;
    throw malformed(`no list in field ${index}`);
  }

  /** A time limit in ms; may be infinite. */
  limitMs(index: number): number {
    const value = this.#fields[index];
    if (typeof value === 'number' && value > 0) return value;
    throw malformed(`no time limit in field ${index}`);
  }

  flag(index: number): boolean {
    return this.#fields[index] === true;
  }

  /** Number of fields. */
  get length(): number {
    return this.#fields.length;
  }

  #id(index: number): string {
    const value = this.text(index);
    if (ID.test(value)) return value;
    throw malformed(`no id in field ${index}`);
  }
}

function asRank(value: unknown): number {
  return asCount(value, 'a rank that is none');
}

function asCount(value: unknown, what = 'a number that is none'): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  throw malformed(what);
}

function malformed(what: string): GradwireError {
  return new GradwireError('protocol_error', `a message has ${what}`, { stage: 'decode' });
}
