/** Why a peer is heard no longer, in the words of the errors of those who waited for it. */
import { type ErrorCode, GradwireError } from '../errors.ts';

/** The end of a connection that this side knows more of than that it broke. */
export class PeerLoss extends Error {
  readonly code: Extract<ErrorCode, 'unavailable' | 'fenced'>;
  /** For how many ms the peer was silent, which it is to be told; undefined: it is told nothing. */
  readonly fenceMs: number | undefined;

  /** @param message what has become of the peer, to be read after its name */
  constructor(code: PeerLoss['code'], message: string, fenceMs?: number) {
    super(message);
    this.code = code;
    this.fenceMs = fenceMs;
  }
}

/** The peer was silent. @param note what is known beyond that, or nothing */
export function silenceOf(silentMs: number, note: string): PeerLoss {
  const more = note === '' ? '' : `, ${note}`;
  const seconds = (silentMs / 1000).toFixed(1);
  return new PeerLoss(
    'unavailable',
    `is gone, it gave no sign of life for ${seconds} s (deadAfterMs)${more},`,
    silentMs,
  );
}

/** The connection broke, and the peer gives signs of life. */
export function cutOff(): PeerLoss {
  return new PeerLoss(
    'unavailable',
    'is cut off from this worker, their connection broke though it gives signs of life',
  );
}

/** Rank 0 of a dynamic group says so. */
export function departed(): PeerLoss {
  return new PeerLoss('unavailable', 'is gone, it belongs to the group no longer,', 0);
}

/** The peer has given this worker up. @param silentMs 0: not because of silence */
export function fencedOff(silentMs: number): PeerLoss {
  const silence = silentMs === 0 ? '' : ` after ${(silentMs / 1000).toFixed(1)} s of silence`;
  return new PeerLoss(
    'fenced',
    `has given this worker up${silence} and takes nothing from it any more; join again as a new worker:`,
  );
}

/** The code and words for the end of a connection. */
export function lossOf(
  isFarewell: boolean,
  reason: Error | undefined,
): { readonly code: PeerLoss['code']; readonly how: string } {
  if (reason instanceof PeerLoss) return { code: reason.code, how: reason.message };
  return { code: 'unavailable', how: isFarewell ? 'left' : 'is gone, its connection broke,' };
}

/** What was to be sent to a peer that is heard no longer. */
export function goneError(peer: string, loss: Error | undefined, what: string): GradwireError {
  const details = { peer, stage: 'call', maybeExecuted: false };
  const known = loss instanceof PeerLoss;
  const how = known ? loss.message.replace(/[,:]$/, '') : 'is gone';
  return new GradwireError(known ? loss.code : 'unavailable', `${peer} ${how}: ${what}`, details);
}
