/**
 * What faults are to be injected, as text: `trainer1/call+method=drop:0.05@2-9, references.fork=delay:50ms*3, seed=7`. Says what
 * a rule is and reads it; decides nothing. Pure.
 */
import { GradwireError } from '../../errors.ts';
import { isConnectionKind, MESSAGES, type MessageKind } from '../message.ts';
import { NOTICE_KINDS, type NoticeKind } from '../reference-notices.ts';
import { nameFault } from '../worker-info.ts';

/**
 * What happens to a message.
 *
 * - `fail`: sending it fails at its sender
 * - `drop`: it is lost on the way
 * - `dropReply`: it arrives, and what answers it is lost
 * - `delay`: it arrives later; what must not overtake it does not
 * - `duplicate`: it arrives twice
 * - `kill`, `stop`: this process gets SIGKILL or SIGSTOP, before the message is sent or read, or some time after
 */
export type FaultAction = (typeof FAULT_ACTIONS)[number];

const FAULT_ACTIONS = ['fail', 'drop', 'dropReply', 'delay', 'duplicate', 'kill', 'stop'] as const;

export interface FaultRule {
  /** As it was written. */
  readonly text: string;
  /** The worker that injects it; undefined: all. */
  readonly worker: string | undefined;
  readonly kinds: readonly MessageKind[];
  /** Of messages `references`, only those that hold such a notice. */
  readonly notice: NoticeKind | undefined;
  readonly direction: 'sent' | 'received';
  readonly action: FaultAction;
  /** Of a delay; of `kill` and `stop`, how long after the message. */
  readonly delayMs: number;
  /** Of the occurrences from `first` to `last`, counted from 1, this share is hit. */
  readonly probability: number;
  readonly first: number;
  readonly last: number;
}

export interface FaultRules {
  readonly rules: readonly FaultRule[];
  /** By which probabilities are drawn, if the text says it. */
  readonly seed: number | undefined;
}

/** Kinds of messages that `*` stands for: those of a connection itself are none of the wire's business. */
export const FAULTY_KINDS: readonly MessageKind[] = (Object.keys(MESSAGES) as MessageKind[]).filter(
  (kind) => !isConnectionKind(kind),
);

/** Their order and number is the connection's to keep, and nothing above it would notice. */
const UNREPEATABLE: readonly MessageKind[] = ['streamItem', 'streamCredit'];
const LONGEST_DELAY_MS = 600_000;

/** @throws GradwireError `invalid_argument` that shows the rule and says what it may hold */
export function readFaultRules(text: string): FaultRules {
  if (typeof text !== 'string') throw invalid(String(text), 'it is no text');
  const rules: FaultRule[] = [];
  let seed: number | undefined;
  for (const part of text.split(/[,;]/).map((piece) => piece.trim())) {
    if (part === '') continue;
    if (part.startsWith('seed=')) seed = readSeed(part.slice('seed='.length));
    else rules.push(readRule(part));
  }
  return { rules, seed };
}

/** @throws GradwireError `invalid_argument` */
export function readSeed(text: string): number {
  const seed = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (seed <= 0xffff_ffff) return seed;
  throw invalid(`seed=${text}`, 'a seed is a whole number below 2^32');
}

const RULE = /^(?:([^/=]+)\/)?([^=/]+)=([A-Za-z]+)((?::[^:@*]+)*)(@\d+(?:-\d+)?|\*\d+)?$/;

function readRule(text: string): FaultRule {
  const match = RULE.exec(text);
  if (match === null) {
    const form = '[worker/]kind[+kind][.received]=action[:50ms][:0.05][@nth | @from-to | *first]';
    throw invalid(text, `a rule has the form ${form}`);
  }
  const [, worker, target = '', action = '', amounts = '', which] = match;
  const fault = worker === undefined ? undefined : nameFault(worker);
  if (fault !== undefined) throw invalid(text, fault);
  if (!isAction(action)) {
    throw invalid(text, `the action ${action} is none of ${FAULT_ACTIONS.join(', ')}`);
  }
  const rule = {
    text,
    worker,
    action,
    ...readTarget(target, action, text),
    ...readAmounts(amounts, action, text),
    ...readOccurrences(which, text),
  };
  if (rule.direction === 'received' && (action === 'fail' || action === 'dropReply')) {
    throw invalid(text, `${action} happens to what is sent`);
  }
  return rule;
}

function isAction(word: string): word is FaultAction {
  return (FAULT_ACTIONS as readonly string[]).includes(word);
}

function readTarget(
  target: string,
  action: FaultAction,
  text: string,
): Pick<FaultRule, 'kinds' | 'notice' | 'direction'> {
  const words = target.split('.');
  const direction = words.length > 1 && words.at(-1) === 'received' ? 'received' : 'sent';
  if (direction === 'received') words.pop();
  const [names = '', notice, more] = words;
  if (more !== undefined) throw invalid(text, `${target} has too many parts`);
  const kinds = names.split('+').flatMap((name) => kindsOf(name, action, text));
  if (notice === undefined) return { kinds, notice, direction };
  const known = NOTICE_KINDS.find((kind) => kind === notice);
  if (known === undefined || names !== 'references') {
    throw invalid(text, `after a dot stands received, or for references ${list(NOTICE_KINDS)}`);
  }
  return { kinds, notice: known, direction };
}

function kindsOf(name: string, action: FaultAction, text: string): readonly MessageKind[] {
  const cannotRepeat = (kind: MessageKind): boolean =>
    action === 'duplicate' && UNREPEATABLE.includes(kind);
  if (name === '*') return FAULTY_KINDS.filter((kind) => !cannotRepeat(kind));
  const kind = FAULTY_KINDS.find((candidate) => candidate === name);
  if (kind === undefined) {
    throw invalid(text, `the kind of message ${name} is none of * ${list(FAULTY_KINDS)}`);
  }
  if (cannotRepeat(kind)) throw invalid(text, `a ${kind} is not numbered and cannot come twice`);
  return [kind];
}

function readAmounts(
  amounts: string,
  action: FaultAction,
  text: string,
): Pick<FaultRule, 'delayMs' | 'probability'> {
  let delayMs: number | undefined;
  let probability: number | undefined;
  for (const amount of amounts.split(':').slice(1)) {
    const time = /^(\d+(?:\.\d+)?)(ms|s)$/.exec(amount);
    if (time !== null && delayMs === undefined) {
      delayMs = Number(time[1]) * (time[2] === 's' ? 1_000 : 1);
    } else if (/^(0|1|0?\.\d+|1\.0+)$/.test(amount) && probability === undefined) {
      probability = Number(amount);
    } else throw invalid(text, `${amount} is neither a time such as 50ms or 2s nor a probability`);
  }
  if (action === 'delay' && delayMs === undefined) throw invalid(text, 'delay needs a time');
  const takesTime = action === 'delay' || action === 'kill' || action === 'stop';
  if (delayMs !== undefined && !takesTime) throw invalid(text, `${action} takes no time`);
  if ((delayMs ?? 0) > LONGEST_DELAY_MS) {
    throw invalid(text, `the longest time is ${LONGEST_DELAY_MS / 1000} s`);
  }
  return { delayMs: delayMs ?? 0, probability: probability ?? 1 };
}

function readOccurrences(
  which: string | undefined,
  text: string,
): Pick<FaultRule, 'first' | 'last'> {
  if (which === undefined) return { first: 1, last: Number.POSITIVE_INFINITY };
  const [from = 0, to = from] = which.slice(1).split('-').map(Number);
  if (which.startsWith('*')) return { first: 1, last: from };
  if (from < 1 || to < from) throw invalid(text, 'occurrences are counted from 1');
  return { first: from, last: to };
}

function list(words: readonly string[]): string {
  return words.join(' ');
}

function invalid(text: string, why: string): GradwireError {
  return new GradwireError('invalid_argument', `the fault rule '${text}' makes no sense: ${why}`, {
    stage: 'init',
  });
}
