/** The keeper's side of `allGather`: a meeting to which each brings a value and from which each takes all of them. */
import type { TensorScope } from '../tensor/index.ts';
import type { Barriers, Met } from './barrier.ts';
import { Head } from './head.ts';
import type { Incoming } from './incoming.ts';
import type { Members } from './members.ts';

interface Brought {
  readonly value: unknown;
  /** Owns the tensors of the value: it stays until all answers have been made. */
  readonly scope: TensorScope;
}

/** Meetings whose answers are being made, and how many are still to come. */
const unanswered = new WeakMap<Met, number>();

/** Answers one of those that meet. */
export async function gathered(
  barriers: Barriers,
  members: Members,
  request: Incoming,
): Promise<ReadonlyMap<string, unknown>> {
  const { body, scope, peer: rank } = request;
  const head = new Head(request.head);
  const met = await barriers.gather({
    key: head.text(0),
    ranks: head.ranks(1),
    isTolerant: false,
    vote: true,
    rank,
    timeoutMs: head.limitMs(2),
    value: { value: Array.isArray(body) ? body[0] : undefined, scope } satisfies Brought,
    what: 'allGather',
  });
  const values = met.values as ReadonlyMap<number, Brought>;
  request.takeScope();
  request.after(() => {
    const left = (unanswered.get(met) ?? values.size) - 1;
    unanswered.set(met, left);
    if (left === 0) for (const { scope: held } of values.values()) held.dispose();
  });
  return new Map([...values].map(([from, { value }]) => [members.nameOf(from), value]));
}
