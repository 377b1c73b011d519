/** References to objects on other workers, as the user holds them. */
import { GradwireError } from '../errors.ts';
import { holdTensors } from '../tensor/index.ts';
import { currentWorker } from './current.ts';
import { RpcFuture } from './future.ts';
import type { HeldCopy } from './lost-copies.ts';
import type { ForkId, RRefId } from './reference-ids.ts';
import type { References } from './references.ts';
import type { RemoteStream } from './remote-stream.ts';
import { typeName } from './type-name.ts';
import type {
  AnsweringName,
  CallOptions,
  Here,
  RemoteFutures,
  RemoteMethods,
  RemoteStreams,
  RRefBackwardOptions,
  StreamOptions,
} from './types.ts';
import { collect } from './wait-all.ts';
import type { WorkerInfo } from './worker-info.ts';

/** `rref.remote()`: each method runs on the owner, which keeps the result behind a reference. */
export type RemoteReferences<T> = {
  readonly [K in AnsweringName<T>]: T[K] extends (...args: infer A) => infer R
    ? (...args: A) => RRef<Awaited<R>>
    : never;
};

/** What a reference asks of its worker. */
export interface ReferenceHost {
  readonly info: WorkerInfo;
  readonly references: References;
  /** Time limit of what sets none, in ms. */
  readonly timeoutMs: number;
  fetch(handle: Handle, options: CallOptions | undefined): Promise<unknown>;
  /** Name of the object's class, asked of its owner. */
  fetchType(handle: Handle, options: CallOptions | undefined): RpcFuture<string>;
  backward(handle: Handle, id: string | undefined, options: RRefBackwardOptions): Promise<void>;
  callMethod(handle: Handle, method: string, call: MethodCall): RpcFuture<unknown>;
  streamMethod(handle: Handle, method: string, call: MethodCall): RemoteStream<unknown>;
  remoteMethod(handle: Handle, method: string, call: MethodCall): RRef<unknown>;
  release(handle: Handle): void;
}

/** A worker that has references. */
interface HoldingWorker {
  readonly info: WorkerInfo;
  readonly referenceCalls: ReferenceHost;
}

export interface MethodCall {
  readonly args: readonly unknown[];
  readonly options: StreamOptions | undefined;
}

/** One copy of a reference; the library alone makes them. */
export class Handle implements HeldCopy {
  readonly host: ReferenceHost;
  readonly id: RRefId;
  readonly fork: ForkId;
  readonly owner: WorkerInfo;
  /** Why the object could not be made, as far as this worker knows. */
  failure: Error | undefined;
  /** The answer to the creation, on the worker that asked for it. */
  creation: RpcFuture<unknown> | undefined;
  /** What kind of object it is, once that was asked. */
  type: RpcFuture<string> | undefined;
  isDisposed = false;
  /** Requests through the copy that are under way. */
  uses = 0;

  constructor(host: ReferenceHost, owner: WorkerInfo, id: RRefId, fork: ForkId) {
    this.host = host;
    this.owner = owner;
    this.id = id;
    this.fork = fork;
  }

  /** @throws GradwireError `rref_disposed`, or what the object's creation failed with */
  check(): void {
    const { id, owner, host } = this;
    if (this.isDisposed) {
      const message = `RRef ${id} of ${owner.name} was disposed on ${host.info.name}`;
      throw new GradwireError('rref_disposed', message, { maybeExecuted: false });
    }
    if (this.failure !== undefined) throw this.failure;
  }

  /** A call through the copy begins: the object stays until it ends. */
  hold(): void {
    this.uses++;
    this.host.references.hold(this.fork);
  }

  letGo(): void {
    this.uses--;
    this.host.references.letGo(this.fork);
  }
}

/** No symbol can be cloned, and the failure to do so shows its text. */
const UNCLONEABLE = Symbol('an RRef, which travels in rpc calls alone,');

/** The safety net: lets go of references that were collected without `dispose`. */
const collected = new FinalizationRegistry<Handle>((handle) => handle.host.release(handle));

// What the library may see of a reference, and users may not: given by the class itself.
let live: (rref: RRef<unknown>) => Handle;
let hasHandle: (value: object) => boolean;

/**
 * A reference to an object that lives on one worker, its owner, and is freed when no reference to it is left. It can be
 * sent to any worker of the group, at any depth of a value. Let go of it by `using` or `dispose`; what is not is let go
 * of when it is collected as garbage. So it is with references among a handler's arguments, too: whether the handler has
 * kept them somewhere cannot be known at its end. When the owner is gone every use fails with `owner_died`. PyTorch: `torch.distributed.rpc.RRef`.
 */
export class RRef<T> implements Disposable {
  readonly #handle: Handle;
  /** Keeps `structuredClone` and messages to threads from making an empty object of a reference. */
  protected readonly onlyInCalls: symbol = UNCLONEABLE;

  /**
   * Makes this worker the owner of `value`. Tensors in it (variables and kept ones excepted) belong to the reference from
   * now on and are freed with it.
   */
  constructor(value: T) {
    if (value instanceof Handle) {
      this.#handle = value;
    } else {
      const { referenceCalls: host } = currentWorker<HoldingWorker>();
      const { references, info } = host;
      const handle = new Handle(host, info, references.newId(), references.newForkId());
      references.begin(handle);
      // The worker has been shut down: the value stays the caller's.
      if (handle.failure !== undefined) throw handle.failure;
      references.create(handle.id, handle.fork, info.id)?.({ value, free: holdTensors(value) });
      this.#handle = handle;
    }
    collected.register(this, this.#handle, this);
  }

  /** The worker on which the object lives. */
  owner(): WorkerInfo {
    return this.#handle.owner;
  }

  ownerName(): string {
    return this.#handle.owner.name;
  }

  isOwner(): boolean {
    return this.#handle.owner.id === this.#handle.host.info.id;
  }

  /** Whether the owner is known to count this copy; where it was asked for, once the object is made. PyTorch: `confirmed_by_owner`. */
  confirmedByOwner(): boolean {
    return this.#handle.host.references.isConfirmed(this.#handle);
  }

  /**
   * Name of the object's class; `Tensor`, `Variable`, `Array` or `Object`; or what `typeof` says of other values. Waits until
   * the object is there, asks the owner once, and fails as its creation did. PyTorch: `_get_type`.
   */
  getType(options?: CallOptions): RpcFuture<string> {
    const handle = this.#live();
    if (handle.type !== undefined) return handle.type;
    const { host, id } = handle;
    const type = this.isOwner()
      ? RpcFuture.from(
          host.references.value(id, options?.timeoutMs ?? host.timeoutMs).then(typeName),
        )
      : host.fetchType(handle, options);
    handle.type = type;
    // One that failed for want of time may be asked again.
    type.catch(() => {
      handle.type = undefined;
    });
    return type;
  }

  /** Done when the object has been made, and fails as its creation did. PyTorch: `_get_future`. */
  getFuture(): RpcFuture<void> {
    const { creation, host } = this.#live();
    const made: Promise<unknown> = creation ?? this.getType({ timeoutMs: host.timeoutMs });
    return RpcFuture.from(made.then(() => {}));
  }

  /**
   * A copy of the object, which must be a value that can be sent; its tensors belong to the caller's scope, or to the
   * caller where there is none. Waits until the object is there. At most once.
   */
  async toHere(options?: CallOptions): Promise<Here<T>> {
    const handle = this.#live();
    return (await handle.host.fetch(handle, options)) as Here<T>;
  }

  /** The object itself, on its owner. @throws GradwireError `not_owner` (as rejection) on any other worker */
  async localValue(): Promise<T> {
    const { owner, host, id } = this.#live();
    if (!this.isOwner()) {
      throw new GradwireError(
        'not_owner',
        `the object lives on ${owner.name}, not on ${host.info.name}: use toHere() for a copy`,
        { peer: owner.name },
      );
    }
    return (await host.references.value(id, host.timeoutMs)) as T;
  }

  /**
   * Runs a backward pass on the owner, from the object, a scalar made in the context; the owner may leave out the id of the
   * current context. Fails as `autograd.backward` does. PyTorch: `RRef.backward`.
   */
  async backward(contextId?: string, options: RRefBackwardOptions = {}): Promise<void> {
    const handle = this.#live();
    if (contextId === undefined && !this.isOwner()) {
      throw new GradwireError(
        'invalid_argument',
        `backward of ${this} needs the id of its context`,
      );
    }
    await handle.host.backward(handle, contextId, options);
  }

  /** The same as `rpcAsync`, but every failure is a rejection, that it was disposed too: blocking is `await`. */
  rpcSync(options?: CallOptions): RemoteMethods<T> {
    return methods(async (method, args) => {
      const handle = this.#live();
      return await handle.host.callMethod(handle, method, { args, options });
    }) as RemoteMethods<T>;
  }

  /** The methods of the object, run on its owner: each answers with a copy of the result, as a future. At most once. */
  rpcAsync(options?: CallOptions): RemoteFutures<T> {
    this.#live();
    return methods((method, args) => {
      const handle = this.#live();
      return collect(handle.host.callMethod(handle, method, { args, options }));
    }) as RemoteFutures<T>;
  }

  /** Those methods of the object that stream, run on its owner for each subscription; see `Worker.rpcStream`. */
  rpcStream(options?: StreamOptions): RemoteStreams<T> {
    this.#live();
    return methods((method, args) => {
      const handle = this.#live();
      return handle.host.streamMethod(handle, method, { args, options });
    }) as RemoteStreams<T>;
  }

  /** The methods of the object, run on its owner, which keeps each result behind a new reference. At most once. */
  remote(options?: CallOptions): RemoteReferences<T> {
    this.#live();
    return methods((method, args) => {
      const handle = this.#live();
      return handle.host.remoteMethod(handle, method, { args, options });
    }) as RemoteReferences<T>;
  }

  /** Lets go of the object. Idempotent. */
  dispose(): void {
    collected.unregister(this);
    this.#handle.host.release(this.#handle);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  toString(): string {
    const { id, owner } = this.#handle;
    return `RRef ${id} of ${owner.name}`;
  }

  /** @throws GradwireError `unsupported_value`: no text can hold a reference, because its owner counts the copies */
  toJSON(): never {
    const advice = 'a reference travels in rpc calls alone; for its value use toHere()';
    throw new GradwireError('unsupported_value', `${this} cannot be JSON: ${advice}`);
  }

  static {
    live = (rref) => rref.#live();
    hasHandle = (value) => #handle in value;
  }

  #live(): Handle {
    this.#handle.check();
    return this.#handle;
  }
}

/** The copy behind a reference. @throws GradwireError `rref_disposed`, or what the object's creation failed with */
export function handleOf(rref: RRef<unknown>): Handle {
  return live(rref);
}

export function isRRef(value: unknown): value is RRef<unknown> {
  return typeof value === 'object' && value !== null && hasHandle(value);
}

/** The reference for a copy. */
export function referenceTo<T>(handle: Handle): RRef<T> {
  return new RRef(handle as unknown as T);
}

/** An object with every method one may ask for. Never a promise, nor JSON: `then` and `toJSON` are undefined, as are symbols. */
function methods(invoke: (method: string, args: readonly unknown[]) => unknown): unknown {
  return new Proxy(Object.create(null), {
    get: (_, method) => {
      if (typeof method !== 'string' || method === 'then' || method === 'toJSON') return undefined;
      return (...args: unknown[]) => invoke(method, args);
    },
  });
}
