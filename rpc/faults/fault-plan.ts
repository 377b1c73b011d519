/**
 * Which faults are injected, and which have been. One plan may serve many workers of a process; each counts its own
 * messages, so that several workers in one process fare as they would in several. Pure: reads no clock and sends nothing.
 */
import type { MessageKind } from '../message.ts';
import type { NoticeKind } from '../reference-notices.ts';
import { type ConnectionAction, type ConnectionRule, conditionsOf } from './connection-rules.ts';
import {
  type FaultAction,
  type FaultRule,
  type FaultRules,
  readFaultRules,
} from './fault-rules.ts';
import type { ProxyConditions } from './proxy-conditions.ts';
import { type Counting, RuleCounter } from './rule-counter.ts';

/** A fault that was injected. */
export interface InjectedFault {
  /** The rule, as it was written. */
  readonly rule: string;
  readonly action: FaultAction | ConnectionAction;
  /** The worker that injected it, and the rank of the one at the other end. */
  readonly worker: string;
  readonly peer: number;
  readonly kind: MessageKind | 'connection';
  readonly direction: 'sent' | 'received';
  /** The message was the nth on this worker that its rule speaks of. */
  readonly nth: number;
}

/** What is to happen to one message; by action, with its time in ms, or for `corrupt` where, as a share of its bits. */
export type Verdict = ReadonlyMap<FaultAction, number>;

/** A message, as the rules speak of it. */
export interface Passing {
  readonly direction: 'sent' | 'received';
  readonly kind: MessageKind;
  readonly peer: number;
  /** What the notices in it say; asked only for messages `references`. */
  notices(): readonly NoticeKind[];
}

/** A worker that injects faults. */
type Injecting = Counting<FaultRule>['worker'];

/** How many injected faults are remembered. */
const MAX_REMEMBERED = 10_000;
const NOTHING: Verdict = new Map();

/**
 * Faults for tests: hand it to `rpc.init({ chaos })`, of one worker or of several.
 *
 * A rule is `[worker/]kind[+kind][.received]=action[:time][:probability][@nth | @from-to | *first]`. `worker` is the name of the
 * one that injects it, by default every one that has the plan. `kind` is a kind of message (`call`, `method`,
 * `remote`, `fetch`, `references`, `gradient`, …) or `*`; `references.fork` is a `references` message that holds a `fork`. A message
 * counts where it is sent, with `.received` where it arrives. The rules of `connection` (`connection=cut:0.05`) concern the
 * connections that the worker makes, and only if there are some when it joins.
 */
export class FaultPlan {
  readonly seed: number;
  readonly #injected: InjectedFault[] = [];
  #text: string;
  #rules: FaultRules;

  /**
   * @param text the rules, separated by commas; `seed=…` among them counts if `seed` is not given
   * @param seed by which probabilities are drawn, a whole number below 2^32. Default: random
   * @throws GradwireError `invalid_argument`
   */
  constructor(text: string, { seed }: { readonly seed?: number | undefined } = {}) {
    const read = readFaultRules(text);
    this.#text = text;
    this.#rules = read;
    this.seed = (seed ?? read.seed ?? Math.floor(Math.random() * 2 ** 32)) >>> 0;
  }

  /** The rules, as they were written. */
  get text(): string {
    return this.#text;
  }

  /** The faults that were injected so far, oldest first; of very many the latest. */
  get injected(): readonly InjectedFault[] {
    return this.#injected;
  }

  /** Sets other rules, whose occurrences count from now on; the empty text heals. @throws GradwireError `invalid_argument` */
  set(text: string): void {
    this.#rules = readFaultRules(text);
    this.#text = text;
  }

  /** Injects nothing any more; what is delayed still comes when it is due. */
  heal(): void {
    this.set('');
  }

  /** The part of one worker. */
  for(worker: Injecting): WorkerFaults {
    const { seed } = this;
    const rules = (): readonly FaultRule[] => this.#rules.rules;
    return new WorkerFaults({ worker, seed, rules, injected: this.#remember });
  }

  /** The same for the connections that it makes; undefined: no rule is about connections. */
  connectionsOf(worker: Injecting): ConnectionFaults | undefined {
    if (this.#rules.connections.length === 0) return undefined;
    const { seed } = this;
    const rules = (): readonly ConnectionRule[] => this.#rules.connections;
    return new ConnectionFaults({ worker, seed, rules }, this.#remember);
  }

  readonly #remember = (fault: InjectedFault): void => {
    this.#injected.push(fault);
    if (this.#injected.length > MAX_REMEMBERED) this.#injected.shift();
  };
}

interface Source extends Counting<FaultRule> {
  injected(fault: InjectedFault): void;
}

/** Decides for the messages of one worker. */
export class WorkerFaults {
  readonly worker: string;
  readonly #counter: RuleCounter<FaultRule>;
  readonly #injected: (fault: InjectedFault) => void;

  constructor(source: Source) {
    this.worker = source.worker.name;
    this.#counter = new RuleCounter(source);
    this.#injected = source.injected;
  }

  /** What is to happen to this message; each rule that speaks of it counts it. */
  judge(message: Passing): Verdict {
    const { kind, direction, peer } = message;
    const hits = this.#counter.hits(
      (rule) =>
        rule.direction === direction &&
        rule.kinds.includes(kind) &&
        (rule.notice === undefined || message.notices().includes(rule.notice)),
    );
    if (hits.length === 0) return NOTHING;
    const verdict = new Map<FaultAction, number>();
    const { worker } = this;
    for (const { rule, nth, random } of hits) {
      const { text, action, delayMs } = rule;
      const amount = action === 'corrupt' ? random() : delayMs;
      verdict.set(action, (verdict.get(action) ?? 0) + amount);
      this.#injected({ rule: text, action, worker, peer, kind, direction, nth });
    }
    return verdict;
  }
}

/** Decides for the connections that one worker makes. */
export class ConnectionFaults {
  readonly #counter: RuleCounter<ConnectionRule>;
  readonly #injected: (fault: InjectedFault) => void;
  readonly #worker: string;

  constructor(counting: Counting<ConnectionRule>, injected: (fault: InjectedFault) => void) {
    this.#counter = new RuleCounter(counting);
    this.#worker = counting.worker.name;
    this.#injected = injected;
  }

  /** What the next connection meets, which leads to the worker of this rank. */
  next(peer: number): ProxyConditions {
    let conditions: ProxyConditions = {};
    for (const { rule, nth, random } of this.#counter.hits(() => true)) {
      const { text, action } = rule;
      conditions = { ...conditions, ...conditionsOf(rule, random) };
      const what = { kind: 'connection', direction: 'sent' } as const;
      this.#injected({ ...what, rule: text, action, worker: this.#worker, peer, nth });
    }
    return conditions;
  }
}
