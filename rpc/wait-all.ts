/** A scope that collects the asynchronous calls made in it. Knows nothing of workers: any of them may be called. */
import { GradwireError } from '../errors.ts';
import { AsyncSlot } from '../tensor/index.ts';
import { collectAll, type RpcFuture } from './future.ts';

interface Collection {
  readonly futures: RpcFuture<unknown>[];
  isOver: boolean;
}

const slot = new AsyncSlot<Collection>();

/**
 * Runs `body` and then waits for all calls by `rpcAsync`, of workers and of references, that it and what it started made
 * meanwhile; resolves with what the body gave. The first failure, of the body or of a call once the body is through,
 * rejects at once; the other calls go on, and their failures count as looked at. Of scopes in a scope each waits for
 * its own calls. PyTorch: `_wait_all`.
 */
export async function waitAll<R>(body: () => R): Promise<Awaited<R>> {
  if (typeof body !== 'function') {
    throw new GradwireError('invalid_argument', `waitAll takes a function, not ${String(body)}`);
  }
  const collection: Collection = { futures: [], isOver: false };
  try {
    const result = await slot.run(collection, body);
    // Callbacks of those calls may make more.
    while (collection.futures.length > 0) await collectAll(collection.futures.splice(0));
    return result;
  } finally {
    collection.isOver = true;
    collection.futures.length = 0;
  }
}

/** A call was made: it belongs to the scope of the flow, if there is one. */
export function collect<T>(future: RpcFuture<T>): RpcFuture<T> {
  const collection = slot.get();
  if (collection !== undefined && !collection.isOver) {
    collection.futures.push(future);
    // The scope will look at it.
    future.onComplete(() => {});
  }
  return future;
}
