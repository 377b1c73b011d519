/** A copy of a reference as its user has it, and the errors of one that cannot be used. Pure. */
import { GradwireError } from '../errors.ts';
import { goneError, type PeerLoss } from './peer-loss.ts';
import type { Loss } from './reference-effects.ts';
import type { ForkId, RRefId } from './reference-ids.ts';

/** One copy as its user has it. */
export interface HeldCopy {
  readonly id: RRefId;
  readonly fork: ForkId;
  readonly owner: { readonly id: number; readonly name: string };
  /** Why it cannot be used. */
  failure: Error | undefined;
}

export function closed(): GradwireError {
  return new GradwireError('shut_down', 'the owner of the reference shut down');
}

export function silence(name: string, leaseMs: number): GradwireError {
  const message = `${name} shares references and was silent for ${leaseMs} ms (referenceLeaseMs)`;
  return new GradwireError('unavailable', message, { peer: name });
}

export function neverMade(): GradwireError {
  const message =
    'the object was never made: its creation failed before it began, or its maker is gone';
  return new GradwireError('unknown_rref', message);
}

/** @param fenced how the owner has given this worker up, if it has */
export function lossOf(
  { id, owner }: HeldCopy,
  why: Loss,
  fenced: PeerLoss | undefined,
): GradwireError {
  if (why === 'owner-gone' && fenced !== undefined) {
    return goneError(owner.name, fenced, `reference ${id} leads nowhere`);
  }
  const details = { peer: owner.name, maybeExecuted: false };
  if (why === 'owner-gone') {
    const message = `${owner.name}, which owned the object of reference ${id}, is gone, and the object with it`;
    return new GradwireError('owner_died', message, details);
  }
  const message = `the object of reference ${id} was freed on ${owner.name} before this copy was counted`;
  return new GradwireError('unknown_rref', message, details);
}

export function deleted({ id, owner }: HeldCopy): GradwireError {
  const message = `RRef ${id} of ${owner.name} is used after deletion: its worker has been shut down`;
  return new GradwireError('shut_down', message, { peer: owner.name });
}
