/**
 * Which faults are injected, and which have been. One plan may serve many workers of a process; each counts its own
 * messages, so that several workers in one process fare as they would in several. Pure: reads no clock and sends nothing.
 */
import type { MessageKind } from '../message.ts';
import type { NoticeKind } from '../reference-notices.ts';
import { type FaultAction, type FaultRule, readFaultRules } from './fault-rules.ts';
import { seeded } from './seeded.ts';

/** A fault that was injected. */
export interface InjectedFault {
  /** The rule, as it was written. */
  readonly rule: string;
  readonly action: FaultAction;
  /** The worker that injected it, and the rank of the one at the other end. */
  readonly worker: string;
  readonly peer: number;
  readonly kind: MessageKind;
  readonly direction: 'sent' | 'received';
  /** The message was the nth on this worker that its rule speaks of. */
  readonly nth: number;
}

/** What is to happen to one message; by action, with its time in ms. */
export type Verdict = ReadonlyMap<FaultAction, number>;

/** A message, as the rules speak of it. */
export interface Passing {
  readonly direction: 'sent' | 'received';
  readonly kind: MessageKind;
  readonly peer: number;
  /** What the notices in it say; asked only for messages `references`. */
  notices(): readonly NoticeKind[];
}

/** How many injected faults are remembered. */
const MAX_REMEMBERED = 10_000;
const NOTHING: Verdict = new Map();

/**
 * Faults for tests: hand it to `rpc.init({ chaos })`, of one worker or of several.
 *
 * A rule is `[worker/]kind[+kind][.received]=action[:time][:probability][@nth | @from-to | *first]`. `worker` is the name of the
 * one that injects it, by default every one that has the plan. `kind` is a kind of message (`call`, `method`,
 * `remote`, `fetch`, `references`, `gradient`, …) or `*`; `references.fork` is a `references` message that holds a `fork`. A message
 * counts where it is sent, with `.received` where it arrives.
 */
export class FaultPlan {
  readonly seed: number;
  readonly #injected: InjectedFault[] = [];
  #text: string;
  #rules: readonly FaultRule[];

  /**
   * @param text the rules, separated by commas; `seed=…` among them counts if `seed` is not given
   * @param seed by which probabilities are drawn, a whole number below 2^32. Default: random
   * @throws GradwireError `invalid_argument`
   */
  constructor(text: string, { seed }: { readonly seed?: number | undefined } = {}) {
    const read = readFaultRules(text);
    this.#text = text;
    this.#rules = read.rules;
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
    this.#rules = readFaultRules(text).rules;
    this.#text = text;
  }

  /** Injects nothing any more; what is delayed still comes when it is due. */
  heal(): void {
    this.set('');
  }

  /** The part of one worker. */
  for(worker: { readonly name: string; readonly rank: number }): WorkerFaults {
    return new WorkerFaults(worker, {
      seed: this.seed,
      rules: () => this.#rules,
      injected: (fault) => {
        this.#injected.push(fault);
        if (this.#injected.length > MAX_REMEMBERED) this.#injected.shift();
      },
    });
  }
}

interface Source {
  readonly seed: number;
  rules(): readonly FaultRule[];
  injected(fault: InjectedFault): void;
}

interface Counted {
  readonly rule: FaultRule;
  readonly random: () => number;
  nth: number;
}

/** Decides for the messages of one worker. */
export class WorkerFaults {
  readonly worker: string;
  readonly #rank: number;
  readonly #source: Source;
  #rules: readonly FaultRule[] = [];
  #counted: readonly Counted[] = [];

  constructor({ name, rank }: { readonly name: string; readonly rank: number }, source: Source) {
    this.worker = name;
    this.#rank = rank;
    this.#source = source;
  }

  /** What is to happen to this message; each rule that speaks of it counts it. */
  judge(message: Passing): Verdict {
    const { kind, direction } = message;
    let verdict: Map<FaultAction, number> | undefined;
    for (const counted of this.#mine()) {
      const { rule } = counted;
      if (rule.direction !== direction || !rule.kinds.includes(kind)) continue;
      if (rule.notice !== undefined && !message.notices().includes(rule.notice)) continue;
      counted.nth++;
      if (counted.nth < rule.first || counted.nth > rule.last) continue;
      // Each rule draws from numbers of its own: other traffic does not change what it hits.
      if (rule.probability < 1 && counted.random() >= rule.probability) continue;
      verdict ??= new Map();
      verdict.set(rule.action, (verdict.get(rule.action) ?? 0) + rule.delayMs);
      const { text, action } = rule;
      const { peer } = message;
      const { nth } = counted;
      const { worker } = this;
      this.#source.injected({ rule: text, action, worker, peer, kind, direction, nth });
    }
    return verdict ?? NOTHING;
  }

  #mine(): readonly Counted[] {
    const rules = this.#source.rules();
    if (rules === this.#rules) return this.#counted;
    this.#rules = rules;
    this.#counted = rules
      .map((rule, index) => ({
        rule,
        random: seeded(this.#source.seed, this.#rank, index),
        nth: 0,
      }))
      .filter(({ rule }) => rule.worker === undefined || rule.worker === this.worker);
    return this.#counted;
  }
}
