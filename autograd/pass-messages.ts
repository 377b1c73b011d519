/** How the messages of a backward pass are sent. */
import type { WorkerCore } from '../rpc/internal.ts';
import { outside } from '../tensor/index.ts';
import type { PassStart } from './pass-share.ts';

export interface PassMessage {
  readonly kind: 'mark' | 'gradient' | 'finish';
  readonly head: unknown;
  readonly body?: unknown;
}

/** Sends a message of a pass, in order with the others of that pass, and waits as long as the pass may take. */
export function ask(
  { endpoint }: WorkerCore,
  peer: number,
  { id, timeoutMs }: PassStart,
  { kind, head, body = null }: PassMessage,
): Promise<unknown> {
  const what = `${kind} of backward`;
  const order = [id];
  return outside(async () =>
    endpoint.request({ peer, kind, head, body, bodyName: 'gradients', what, timeoutMs, order }),
  );
}
