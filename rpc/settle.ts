/** Gives the answer to a request to whoever waits for it. Knows nothing of connections. */
import { GradwireError, isGradwireError, withDetails } from '../errors.ts';
import { enterFrame, tf } from '../tensor/index.ts';
import type { RawMessage } from './answering.ts';
import { discard, disposeReferences } from './discard.ts';
import { fromWire } from './failure.ts';
import { hasValue } from './message.ts';
import { type Unpacked, unpack } from './packet.ts';
import type { PendingRequest } from './pending.ts';
import type { Extension } from './value-codec.ts';

export interface Answerer {
  /** What the values of its messages may hold beyond plain ones. */
  readonly extensions: ReadonlyMap<number, Extension>;
  readonly peerName: string;
}

/**
 * Resolves or rejects the request by a `reply` or `failure`. Tensors of the answer belong where the request was made; of an
 * answer that cannot be read nothing is kept. Must not throw.
 */
export function settle(
  { request, frame, traces, startedAt, resolve, reject }: PendingRequest,
  { kind, id: callId, bytes }: RawMessage,
  { extensions, peerName }: Answerer,
): void {
  const failed = (error: Error): void => {
    const elapsedMs = Math.round(performance.now() - startedAt);
    const details = { peer: peerName, stage: 'reply', maybeExecuted: true, callId, elapsedMs };
    reject(withDetails(error, details));
  };
  let answer: Unpacked | undefined;
  let isUnread = true;
  const read = (): unknown => {
    isUnread = false;
    answer = unpack(bytes, extensions);
    if (answer.tensors.length > 0 && !hasValue(request.kind)) {
      throw new GradwireError('protocol_error', `tensors came in answer to ${request.what}`);
    }
    const meta = answer.meta as Record<string, unknown> | null;
    for (const [key, trace] of traces) trace.answered?.(meta?.[key], answer.tensors);
    return answer.body;
  };
  try {
    frame?.recorder?.check();
    const body = frame === undefined ? read() : enterFrame(frame, read);
    if (kind === 'reply') resolve(body);
    else failed(fromWire(body, peerName, request.what));
  } catch (error) {
    if (isUnread) discard(bytes, extensions);
    else if (answer !== undefined) {
      disposeReferences(answer.body);
      tf.dispose([...answer.tensors]);
    }
    failed(isUnread ? (error as Error) : unreadable(error, peerName, request.what));
  }
}

/** The answer came and means nothing here: what was asked for was done nevertheless. */
function unreadable(error: unknown, peer: string, what: string): Error {
  if (!isGradwireError(error) || error.maybeExecuted !== undefined) return error as Error;
  const { code, message, stage = 'decode' } = error;
  const said = message.replace(`${code}: `, '');
  const details = { peer, stage, maybeExecuted: true, cause: error };
  return new GradwireError(code, `${said} (in the answer of ${peer} to ${what})`, details);
}
