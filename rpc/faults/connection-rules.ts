/**
 * Faults of whole connections, as text: `connection=cut:0.05,connection=delay:50ms`. Occurrences are the connections that the
 * worker makes. Pure.
 */
import type { ProxyConditions } from './proxy-conditions.ts';
import { bytesOf, type CommonRule, nonsense, type RuleText, shareOf, timeOf } from './rule-text.ts';

/**
 * What happens to a connection.
 *
 * - `cut`: both ends see a reset, after so many bytes, by default after up to 256 KiB
 * - `delay`: bytes arrive so much later, each way
 * - `bandwidth`: so many bytes pass in a second, each way
 * - `hole`: nothing passes any more, either way, after so many bytes, by default after up to 256 KiB
 * - `flip`: a byte is changed, after so many bytes, by default after up to 256 KiB
 * - `refuse`: it is reset at once
 */
export type ConnectionAction = (typeof CONNECTION_ACTIONS)[number];

const CONNECTION_ACTIONS = ['cut', 'delay', 'bandwidth', 'hole', 'flip', 'refuse'] as const;
const WITHIN_BYTES = 256 * 1024;

export interface ConnectionRule extends CommonRule {
  readonly action: ConnectionAction;
  /** Milliseconds or bytes, as the action has it. */
  readonly amount: number | undefined;
}

/** @throws GradwireError `invalid_argument` */
export function connectionRule({
  target: _,
  action,
  amounts,
  ...common
}: RuleText): ConnectionRule {
  const { text } = common;
  const known = CONNECTION_ACTIONS.find((candidate) => candidate === action);
  if (known === undefined) {
    const all = CONNECTION_ACTIONS.join(', ');
    throw nonsense(text, `what happens to a connection, ${action}, is none of ${all}`);
  }
  let probability: number | undefined;
  let amount: number | undefined;
  for (const word of amounts) {
    const share = shareOf(word);
    const number = known === 'delay' ? timeOf(word) : bytesOf(word);
    if (share !== undefined && probability === undefined) probability = share;
    else if (number !== undefined && amount === undefined && known !== 'refuse') amount = number;
    else throw nonsense(text, `${word} is neither a probability nor an amount that ${known} takes`);
  }
  if (amount === undefined && (known === 'delay' || known === 'bandwidth')) {
    throw nonsense(text, `${known} needs ${known === 'delay' ? 'a time' : 'a number of bytes'}`);
  }
  return { ...common, action: known, amount, probability: probability ?? 1 };
}

/** What a rule makes of a connection that it hits. @param random for amounts that it leaves open */
export function conditionsOf(
  { action, amount }: ConnectionRule,
  random: () => number,
): ProxyConditions {
  const after = amount ?? Math.floor(random() * WITHIN_BYTES);
  switch (action) {
    case 'cut':
      return { cutAfterBytes: after };
    case 'delay':
      return { latencyMs: after };
    case 'bandwidth':
      return { bytesPerSecond: after };
    case 'hole':
      return { holeAfterBytes: after };
    case 'flip':
      return { flipAfterBytes: after };
    case 'refuse':
      return { refuse: true };
  }
}
