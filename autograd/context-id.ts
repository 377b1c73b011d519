/**
 * Ids of distributed autograd contexts: plain values that can be sent, unique in the group, and not to be guessed: who was
 * not told of a context cannot speak of it.
 */
import { randomBytes } from 'node:crypto';

export type ContextId = string & { readonly __brand: 'ContextId' };

export function contextId(initiator: number, count: number): ContextId {
  return `${initiator}.${count}.${randomBytes(SECRET_BYTES).toString('base64url')}` as ContextId;
}

const SECRET_BYTES = 16;

/** Rank of the worker that opened the context. */
export function initiatorOf(id: ContextId): number {
  return Number(id.split('.', 1)[0]);
}

/** How many contexts that worker had opened before. */
export function countOf(id: ContextId): number {
  return Number(id.split('.', 2)[1]);
}
