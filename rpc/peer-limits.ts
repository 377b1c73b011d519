/** What one peer may make a worker hold: beyond it the peer is refused, with the name of the limit. */
import { GradwireError } from '../errors.ts';

export interface PeerLimits {
  /** Calls of one worker that may be handled or wait here at a time; further ones are refused as `overloaded`. Default: 50,000. */
  readonly maxPeerCalls: number;
  /** Copies of references to objects of this worker that one other may hold. Default: 100,000. */
  readonly maxPeerReferences: number;
  /** Autograd contexts that one worker may bring here at a time. Default: 1,000. */
  readonly maxPeerContexts: number;
}

const DEFAULTS: PeerLimits = {
  maxPeerCalls: 50_000,
  maxPeerReferences: 100_000,
  maxPeerContexts: 1_000,
};

/** @throws GradwireError `invalid_argument` unless each is a whole number of at least 1, or Infinity */
export function peerLimits(given: Partial<PeerLimits>): PeerLimits {
  const names = Object.keys(DEFAULTS) as (keyof PeerLimits)[];
  const entries = names.map((name) => {
    const limit = given[name] ?? DEFAULTS[name];
    const isCount = Number.isSafeInteger(limit) || limit === Number.POSITIVE_INFINITY;
    if (isCount && limit >= 1) return [name, limit];
    const message = `${name} ${limit} is not a number from 1 on`;
    throw new GradwireError('invalid_argument', message, { stage: 'init' });
  });
  return Object.fromEntries(entries) as unknown as PeerLimits;
}

/** @param what is held already, in the plural */
export function beyond(
  name: keyof PeerLimits,
  limit: number,
  { peer, what }: { readonly peer: string; readonly what: string },
): GradwireError {
  const message = `${what} of ${peer} are ${limit}, and no more may be (${name})`;
  return new GradwireError('overloaded', message, { stage: 'queue', maybeExecuted: false });
}

/** Why one more call of a peer is refused of which so many are handled, if it is. */
export function callRefusal(
  { maxPeerCalls }: PeerLimits,
  nameOf: (peer: number) => string,
): (peer: number, running: number) => GradwireError | undefined {
  return (peer, running) =>
    running < maxPeerCalls
      ? undefined
      : beyond('maxPeerCalls', maxPeerCalls, { peer: nameOf(peer), what: 'calls' });
}
