/** What interceptors make of the meta data of a request that came. */
import { GradwireError } from '../errors.ts';
import type { tf } from '../tensor/index.ts';
import type { IncomingTrace, Interceptor } from './interceptor.ts';
import type { MessageKind } from './message.ts';
import { isOwnField, type RequestMeta } from './request-meta.ts';

/** @throws GradwireError `protocol_error` for what no interceptor knows */
export function incomingTraces(
  interceptors: readonly Interceptor[],
  call: { peer: number; kind: MessageKind; tensors: readonly tf.Tensor[] },
  meta: RequestMeta,
): ReadonlyMap<string, IncomingTrace> {
  const traces = new Map<string, IncomingTrace>();
  for (const [key, value] of Object.entries(meta)) {
    if (isOwnField(key)) continue;
    const interceptor = interceptors.find((candidate) => candidate.key === key);
    if (interceptor === undefined) {
      const message = `the caller uses ${key}, which this worker has not loaded: import 'gradwire'`;
      throw new GradwireError('protocol_error', message);
    }
    traces.set(key, interceptor.incoming(call, value));
  }
  return traces;
}
