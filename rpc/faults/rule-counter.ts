/** Counts what the rules of one worker speak of, and draws which of it they hit. Pure. */
import type { CommonRule } from './rule-text.ts';
import { seeded } from './seeded.ts';

export interface Hit<R> {
  readonly rule: R;
  /** The occurrence that is hit, counted from 1. */
  readonly nth: number;
  readonly random: () => number;
}

interface Counted<R> {
  readonly rule: R;
  readonly random: () => number;
  nth: number;
}

export interface Counting<R> {
  /** The worker that injects. */
  readonly worker: { readonly name: string; readonly rank: number };
  readonly seed: number;
  /** The rules that are in force; other ones begin to count anew. */
  rules(): readonly R[];
}

export class RuleCounter<R extends CommonRule> {
  readonly #options: Counting<R>;
  #rules: readonly R[] = [];
  #counted: readonly Counted<R>[] = [];

  constructor(options: Counting<R>) {
    this.#options = options;
  }

  /** The rules that hit this occurrence of what `speaks` says that they speak of. */
  hits(speaks: (rule: R) => boolean): readonly Hit<R>[] {
    let hits: Hit<R>[] | undefined;
    for (const counted of this.#mine()) {
      const { rule, random } = counted;
      if (!speaks(rule)) continue;
      counted.nth++;
      const { nth } = counted;
      if (nth < rule.first || nth > rule.last) continue;
      // Each rule draws from numbers of its own: other traffic does not change what it hits.
      if (rule.probability < 1 && random() >= rule.probability) continue;
      hits ??= [];
      hits.push({ rule, nth, random });
    }
    return hits ?? [];
  }

  #mine(): readonly Counted<R>[] {
    const rules = this.#options.rules();
    if (rules === this.#rules) return this.#counted;
    this.#rules = rules;
    const { seed, worker } = this.#options;
    this.#counted = rules
      .map((rule, index) => ({ rule, random: seeded(seed, worker.rank, index), nth: 0 }))
      .filter(({ rule }) => rule.worker === undefined || rule.worker === worker.name);
    return this.#counted;
  }
}
