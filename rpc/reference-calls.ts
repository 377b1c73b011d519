/** What references ask of the worker that holds them: calls of their objects, new objects, release. Knows no counts. */
import type { Call, Calls } from './calls.ts';
import type { RpcFuture } from './future.ts';
import type { MessageKind } from './message.ts';
import type { References } from './references.ts';
import type { RemoteStream } from './remote-stream.ts';
import { Handle, type MethodCall, type ReferenceHost, type RRef, referenceTo } from './rref.ts';
import type { CallOptions, RRefBackwardOptions, StreamOptions } from './types.ts';
import type { WorkerInfo } from './worker-info.ts';

/** How long a pass may take in all, in ms, where the caller sets nothing. */
const BACKWARD_TIMEOUT_MS = 600_000;

/** How an object is made: by a function or class, or by a method of another object. */
interface Creation extends Pick<Call, 'body' | 'what' | 'options'> {
  /** The reference whose method it is. */
  readonly through?: Handle;
  /** Name of the function or class, or reference and method. */
  readonly target: readonly string[];
}

/** A worker that has references. */
interface Holder {
  readonly info: WorkerInfo;
  readonly references: References;
}

export class ReferenceCalls implements ReferenceHost {
  readonly info: WorkerInfo;
  readonly references: References;
  readonly #calls: Calls;

  constructor({ info, references }: Holder, calls: Calls) {
    this.info = info;
    this.references = references;
    this.#calls = calls;
  }

  get timeoutMs(): number {
    return this.#calls.timeoutMs;
  }

  fetch(handle: Handle, options: CallOptions | undefined): Promise<unknown> {
    return this.#ask(handle, 'fetch', { what: 'toHere', body: [], options });
  }

  fetchType(handle: Handle, options: CallOptions | undefined): RpcFuture<string> {
    return this.#ask(handle, 'type', { what: 'getType', body: [], options }) as RpcFuture<string>;
  }

  async backward(
    handle: Handle,
    contextId: string | undefined,
    { retainGraph = false, timeoutMs = BACKWARD_TIMEOUT_MS }: RRefBackwardOptions,
  ): Promise<void> {
    const head = [handle.id, contextId ?? null, retainGraph];
    const call = { what: 'backward', body: [], options: { timeoutMs } };
    const order = [handle.id];
    const during = [handle];
    await this.#calls.send(handle.owner, { ...call, kind: 'backward', head, order, during });
  }

  callMethod(handle: Handle, method: string, call: MethodCall): RpcFuture<unknown> {
    return this.#calls.send(handle.owner, methodRequest(handle, method, call));
  }

  streamMethod(handle: Handle, method: string, call: MethodCall): RemoteStream<unknown> {
    return this.#calls.stream(handle.owner, methodRequest(handle, method, call));
  }

  remoteMethod(handle: Handle, method: string, { args, options }: MethodCall): RRef<unknown> {
    const target = [handle.id, method];
    return this.create(handle.owner, {
      target,
      body: args,
      what: method,
      options,
      through: handle,
    });
  }

  release(handle: Handle): void {
    if (handle.isDisposed) return;
    handle.isDisposed = true;
    this.references.release(handle);
  }

  /** Has an object made by `owner`, which keeps it. */
  create(owner: WorkerInfo, { target, through, ...call }: Creation): RRef<unknown> {
    const { references } = this;
    const handle = new Handle(this, owner, references.newId(), references.newForkId());
    const head = [handle.id, handle.fork, ...target];
    const order = [handle.id, String(target[0])];
    const during = through === undefined ? [handle] : [handle, through];
    references.begin(handle);
    try {
      handle.creation = this.#calls.send(owner, { ...call, kind: 'remote', head, order, during });
    } catch (error) {
      references.release(handle);
      throw error;
    }
    handle.creation.then(
      () => references.created(handle),
      (error: Error) => {
        references.creationFailed(handle, error);
        this.#calls.failThrough(handle, error);
      },
    );
    return referenceTo(handle);
  }

  #ask(
    handle: Handle,
    kind: MessageKind,
    call: Pick<Call, 'what' | 'body' | 'options'>,
  ): RpcFuture<unknown> {
    const { id, owner } = handle;
    return this.#calls.send(owner, { ...call, kind, head: [id], order: [id], during: [handle] });
  }
}

function methodRequest(
  handle: Handle,
  what: string,
  { args: body, options }: MethodCall,
): Call & { readonly options: StreamOptions | undefined } {
  const { id } = handle;
  const during = [handle];
  return { kind: 'method', head: [id, what], body, what, order: [id], during, options };
}
