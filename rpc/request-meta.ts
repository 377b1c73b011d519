/** What a request says beside its arguments. Pure. */
import { GradwireError } from '../errors.ts';

export interface RequestMeta extends Readonly<Record<string, unknown>> {
  /** How long the caller waits, in ms. */
  readonly timeoutMs: number;
  /** The caller takes items of a stream, so many at first. */
  readonly stream?: number;
}

/** Whether a field is one of rpc's own; the others are the interceptors'. */
export function isOwnField(key: string): boolean {
  return key === 'timeoutMs' || key === 'stream';
}

/** @throws GradwireError `protocol_error` */
export function readMeta(meta: unknown): RequestMeta {
  if (typeof meta === 'object' && meta !== null && 'timeoutMs' in meta) {
    const { timeoutMs, stream } = meta as RequestMeta;
    const isCredit = stream === undefined || (Number.isSafeInteger(stream) && stream > 0);
    if (typeof timeoutMs === 'number' && timeoutMs >= 0 && isCredit) return meta as RequestMeta;
  }
  throw new GradwireError('protocol_error', 'a request without a time limit', { stage: 'decode' });
}
