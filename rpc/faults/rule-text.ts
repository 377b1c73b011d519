/**
 * The form of a rule, whatever it is about: who injects it, what it is about, what happens, and which occurrences are hit.
 * Knows no kinds and no actions. Pure.
 */
import { GradwireError } from '../../errors.ts';
import { nameFault } from '../worker-info.ts';

/** What every rule says. */
export interface CommonRule {
  /** As it was written. */
  readonly text: string;
  /** The worker that injects it; undefined: all. */
  readonly worker: string | undefined;
  /** Of the occurrences from `first` to `last`, counted from 1, this share is hit. */
  readonly probability: number;
  readonly first: number;
  readonly last: number;
}

/** A rule of which it is not yet known what it is about. */
export interface RuleText extends Omit<CommonRule, 'probability'> {
  readonly target: string;
  readonly action: string;
  readonly amounts: readonly string[];
}

const RULE = /^(?:([^/=]+)\/)?([^=/]+)=([A-Za-z]+)((?::[^:@*]+)*)(@\d+(?:-\d+)?|\*\d+)?$/;
const FORM = '[worker/]target=action[:amount][:probability][@nth | @from-to | *first]';

/** @throws GradwireError `invalid_argument` */
export function splitRule(text: string): RuleText {
  const match = RULE.exec(text);
  if (match === null) throw nonsense(text, `a rule has the form ${FORM}`);
  const [, worker, target = '', action = '', amounts = '', which] = match;
  const fault = worker === undefined ? undefined : nameFault(worker);
  if (fault !== undefined) throw nonsense(text, fault);
  return {
    text,
    worker,
    target,
    action,
    amounts: amounts.split(':').slice(1),
    ...occurrences(which, text),
  };
}

function occurrences(which: string | undefined, text: string): Pick<RuleText, 'first' | 'last'> {
  if (which === undefined) return { first: 1, last: Number.POSITIVE_INFINITY };
  const [from = 0, to = from] = which.slice(1).split('-').map(Number);
  if (which.startsWith('*')) return { first: 1, last: from };
  if (from < 1 || to < from) throw nonsense(text, 'occurrences are counted from 1');
  return { first: from, last: to };
}

/** A time such as `50ms` or `2s`, in ms; undefined: it is none. */
export function timeOf(amount: string): number | undefined {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(ms|s)$/.exec(amount) ?? [];
  return number === undefined ? undefined : Number(number) * (unit === 's' ? 1_000 : 1);
}

/** A share such as `0.05`; undefined: it is none. */
export function shareOf(amount: string): number | undefined {
  return /^(0|1|0?\.\d+|1\.0+)$/.test(amount) ? Number(amount) : undefined;
}

/** A length such as `64KiB`, in bytes; undefined: it is none. */
export function bytesOf(amount: string): number | undefined {
  const [, number, unit = ''] = /^(\d+)(B|kB|MB|KiB|MiB)$/.exec(amount) ?? [];
  const factor = { B: 1, kB: 1e3, MB: 1e6, KiB: 1024, MiB: 1024 ** 2 }[unit];
  return factor === undefined ? undefined : Number(number) * factor;
}

export function nonsense(text: string, why: string): GradwireError {
  return new GradwireError('invalid_argument', `the fault rule '${text}' makes no sense: ${why}`, {
    stage: 'init',
  });
}
