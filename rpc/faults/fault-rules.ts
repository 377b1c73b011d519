/**
 * What faults are to be injected, as text: `trainer1/call+method=drop:0.05@2-9, references.fork=delay:50ms*3, seed=7`. Says what
 * a rule is and reads it; decides nothing. Pure.
 */
import { isConnectionKind, MESSAGES, type MessageKind } from '../message.ts';
import { NOTICE_KINDS, type NoticeKind } from '../reference-notices.ts';
import { type ConnectionRule, connectionRule } from './connection-rules.ts';
import {
  type CommonRule,
  nonsense,
  type RuleText,
  shareOf,
  splitRule,
  timeOf,
} from './rule-text.ts';

/**
 * What happens to a message.
 *
 * - `fail`: sending it fails at its sender
 * - `drop`: it is lost on the way
 * - `dropReply`: it arrives, and what answers it is lost
 * - `delay`: it arrives later; what must not overtake it does not
 * - `duplicate`: it arrives twice
 * - `corrupt`: one bit of it arrives changed, somewhere
 * - `kill`, `stop`: this process gets SIGKILL or SIGSTOP, before the message is sent or read, or some time after
 */
export type FaultAction = (typeof FAULT_ACTIONS)[number];

const FAULT_ACTIONS = [
  'fail',
  'drop',
  'dropReply',
  'delay',
  'duplicate',
  'corrupt',
  'kill',
  'stop',
] as const;

export interface FaultRule extends CommonRule {
  readonly kinds: readonly MessageKind[];
  /** Of messages `references`, only those that hold such a notice. */
  readonly notice: NoticeKind | undefined;
  readonly direction: 'sent' | 'received';
  readonly action: FaultAction;
  /** Of a delay; of `kill` and `stop`, how long after the message. */
  readonly delayMs: number;
}

export interface FaultRules {
  readonly rules: readonly FaultRule[];
  readonly connections: readonly ConnectionRule[];
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
  if (typeof text !== 'string') throw nonsense(String(text), 'it is no text');
  const rules: FaultRule[] = [];
  const connections: ConnectionRule[] = [];
  let seed: number | undefined;
  for (const part of text.split(/[,;]/).map((piece) => piece.trim())) {
    if (part === '') continue;
    if (part.startsWith('seed=')) seed = readSeed(part.slice('seed='.length));
    else {
      const rule = splitRule(part);
      if (rule.target === 'connection') connections.push(connectionRule(rule));
      else rules.push(messageRule(rule));
    }
  }
  return { rules, connections, seed };
}

/** @throws GradwireError `invalid_argument` */
export function readSeed(text: string): number {
  const seed = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (seed <= 0xffff_ffff) return seed;
  throw nonsense(`seed=${text}`, 'a seed is a whole number below 2^32');
}

function messageRule({ target, action, amounts, ...common }: RuleText): FaultRule {
  const { text } = common;
  if (!isAction(action)) {
    throw nonsense(text, `the action ${action} is none of ${FAULT_ACTIONS.join(', ')}`);
  }
  const rule = {
    ...common,
    action,
    ...readTarget(target, action, text),
    ...readAmounts(amounts, action, text),
  };
  if (rule.direction === 'received' && (action === 'fail' || action === 'dropReply')) {
    throw nonsense(text, `${action} happens to what is sent`);
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
  if (more !== undefined) throw nonsense(text, `${target} has too many parts`);
  const kinds = names.split('+').flatMap((name) => kindsOf(name, action, text));
  if (notice === undefined) return { kinds, notice, direction };
  const known = NOTICE_KINDS.find((kind) => kind === notice);
  if (known === undefined || names !== 'references') {
    throw nonsense(text, `after a dot stands received, or for references ${list(NOTICE_KINDS)}`);
  }
  return { kinds, notice: known, direction };
}

function kindsOf(name: string, action: FaultAction, text: string): readonly MessageKind[] {
  const cannotRepeat = (kind: MessageKind): boolean =>
    action === 'duplicate' && UNREPEATABLE.includes(kind);
  if (name === '*') return FAULTY_KINDS.filter((kind) => !cannotRepeat(kind));
  const kind = FAULTY_KINDS.find((candidate) => candidate === name);
  if (kind === undefined) {
    throw nonsense(text, `the kind of message ${name} is none of * ${list(FAULTY_KINDS)}`);
  }
  if (cannotRepeat(kind)) throw nonsense(text, `a ${kind} is not numbered and cannot come twice`);
  return [kind];
}

function readAmounts(
  amounts: readonly string[],
  action: FaultAction,
  text: string,
): Pick<FaultRule, 'delayMs' | 'probability'> {
  let delayMs: number | undefined;
  let probability: number | undefined;
  for (const amount of amounts) {
    const [time, share] = [timeOf(amount), shareOf(amount)];
    if (time !== undefined && delayMs === undefined) delayMs = time;
    else if (share !== undefined && probability === undefined) probability = share;
    else throw nonsense(text, `${amount} is neither a time such as 50ms or 2s nor a probability`);
  }
  if (action === 'delay' && delayMs === undefined) throw nonsense(text, 'delay needs a time');
  const takesTime = action === 'delay' || action === 'kill' || action === 'stop';
  if (delayMs !== undefined && !takesTime) throw nonsense(text, `${action} takes no time`);
  if ((delayMs ?? 0) > LONGEST_DELAY_MS) {
    throw nonsense(text, `the longest time is ${LONGEST_DELAY_MS / 1000} s`);
  }
  return { delayMs: delayMs ?? 0, probability: probability ?? 1 };
}

function list(words: readonly string[]): string {
  return words.join(' ');
}
