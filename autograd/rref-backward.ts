/** The owner's part of `RRef#backward`: a pass that starts from the object behind a reference. */
import { GradwireError } from '../errors.ts';
import { Head, type WorkerCore } from '../rpc/internal.ts';
import { tf } from '../tensor/index.ts';
import type { ContextId } from './context-id.ts';
import type { Contexts } from './contexts.ts';
import type { DistEngine } from './dist-engine.ts';

export function serveBackward(worker: WorkerCore, contexts: Contexts, engine: DistEngine): void {
  const { endpoint, references } = worker;
  endpoint.handle('backward', async ({ head: fields, timeoutMs, after, peer }) => {
    const head = new Head(fields);
    const id = head.id(0);
    // The flow of the call is in the context of its caller, if that was in one.
    const context = contextOf(head, contexts.current()?.id, peer === worker.info.id);
    after(references.borrow(id));
    const value = await references.value(id, timeoutMs, peer);
    if (!(value instanceof tf.Tensor)) {
      const message = 'backward of a reference to what is no tensor';
      throw new GradwireError('invalid_argument', message);
    }
    await engine.backward(context, [value], { retainGraph: head.flag(2), timeoutMs });
    return null;
  });
}

function contextOf(head: Head, current: ContextId | undefined, isOwner: boolean): ContextId {
  const named = head.optionalText(1);
  if (named !== undefined) return named as ContextId;
  if (current !== undefined && isOwner) return current;
  const message =
    'backward of a reference without the id of a context, outside any: operations are recorded in contexts alone';
  throw new GradwireError('unknown_context', message);
}
