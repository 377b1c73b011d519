/** What references ask of the worker that holds them: calls of their objects, new objects, release. Knows no counts. */
import type { Call, Calls, Creation } from './calls.ts';
import type { Endpoint } from './endpoint.ts';
import type { RpcFuture } from './future.ts';
import type { Members } from './members.ts';
import type { References } from './references.ts';
import type { RemoteStream } from './remote-stream.ts';
import { Handle, type MethodCall, type ReferenceHost, type RRef, referenceTo } from './rref.ts';
import type { CallOptions, StreamOptions } from './types.ts';
import type { WorkerInfo } from './worker-info.ts';

/** What holding references needs of a worker. */
export interface Holder {
  readonly info: WorkerInfo;
  readonly members: Members;
  readonly endpoint: Endpoint;
  readonly references: References;
}

export class ReferenceCalls implements ReferenceHost {
  readonly info: WorkerInfo;
  readonly references: References;
  readonly #worker: Holder;
  readonly #calls: Calls;

  constructor(worker: Holder, calls: Calls) {
    this.info = worker.info;
    this.references = worker.references;
    this.#worker = worker;
    this.#calls = calls;
  }

  get timeoutMs(): number {
    return this.#calls.timeoutMs;
  }

  fetch({ id, owner }: Handle, options: CallOptions | undefined): Promise<unknown> {
    const [kind, what] = ['fetch', 'toHere'] as const;
    return this.#calls.send(owner, { kind, head: [id], body: [], what, order: [id], options });
  }

  callMethod(handle: Handle, method: string, call: MethodCall): RpcFuture<unknown> {
    return this.#calls.send(handle.owner, methodRequest(handle, method, call));
  }

  streamMethod(handle: Handle, method: string, call: MethodCall): RemoteStream<unknown> {
    return this.#calls.stream(handle.owner, methodRequest(handle, method, call));
  }

  remoteMethod({ id, owner }: Handle, method: string, call: MethodCall): RRef<unknown> {
    const { args: body, options } = call;
    return this.create(owner, { target: [id, method], body, what: method, options });
  }

  /** The drop goes the way of the calls, to this worker too: what was called before still finds the object. */
  release(handle: Handle): void {
    if (handle.isDisposed) return;
    handle.isDisposed = true;
    const { id, fork, owner } = handle;
    const { members, endpoint } = this.#worker;
    // Another worker with the owner's rank knows nothing of its objects.
    if (!members.isCurrent(owner)) return void this.references.dropCopy(fork);
    const isHeld = owner.id === this.info.id || this.references.dropCopy(fork);
    if (isHeld) endpoint.notify(owner.id, 'drop', [id, fork], [id]);
  }

  /** Has an object made by `owner`, which keeps it. */
  create(owner: WorkerInfo, { target, body, what, options }: Creation): RRef<unknown> {
    const handle = new Handle(this, owner, this.references.newId(), this.references.newForkId());
    const head = [handle.id, handle.fork, ...target];
    const order = [handle.id, String(target[0])];
    this.#calls.send(owner, { kind: 'remote', head, body, what, order, options }).catch((error) => {
      handle.failure = error;
    });
    if (owner.id !== this.info.id) this.references.addCopy(handle.id, handle.fork, owner.id);
    return referenceTo(handle);
  }
}

function methodRequest(
  { id }: Handle,
  what: string,
  { args: body, options }: MethodCall,
): Call & { readonly options: StreamOptions | undefined } {
  return { kind: 'method', head: [id, what], body, what, order: [id], options };
}
