/**
 * A module that lives on another worker and is called as if it were here. Carries no guarantee of its own: calls, references
 * and gradients are those of the methods of an RRef.
 */
import { GradwireError, isGradwireError } from '../errors.ts';
import {
  type Here,
  type Invocable,
  type Peer,
  type Rest,
  type RpcFuture,
  type RRef,
  registerValue,
  type Worker,
} from '../rpc/index.ts';
import { collect, currentWorker, isRRef } from '../rpc/internal.ts';
import { outside, type tf } from '../tensor/index.ts';
import { type Module, moduleFault, parameterAt, parameterCount } from './remote-module-calls.ts';
import { REFUSALS } from './remote-module-refusals.ts';

/** What the forward of a module gives its caller. */
type Output<M extends Module> = Here<Awaited<ReturnType<M['forward']>>>;

/** A module that also has modes. */
interface Trainable extends Module {
  train(mode: boolean): unknown;
}

/**
 * A module on another worker. Its variables get gradients from a backward pass here, and a DistributedOptimizer updates them
 * by `remoteParameters`. It can be sent to any worker of the group, which then shares the module. Let go of it by `dispose`
 * or `using`: the module is freed with the last of its handles. PyTorch: `torch.distributed.nn.RemoteModule`.
 *
 * A module is an object of a registered class with `forward` and `parameters`. For models of tf.layers see `LayersModule`.
 * What else PyTorch's modules have is refused with `unknown_method`, and what to use instead.
 */
export class RemoteModule<M extends Module, A extends unknown[] = unknown[]> implements Disposable {
  readonly #rref: RRef<M>;

  /**
   * Makes the module on another worker. Returns at once: if it cannot be made, every use fails with the reason, and if it is
   * no module with `invalid_argument`.
   *
   * @param remoteDevice the worker: its name, rank or info, or as in PyTorch `rank:1`, `worker1/cpu` (no other device)
   * @param moduleClass a registered class, or a function that gives a module
   * @param rest arguments of the class, and options of the call
   * @throws GradwireError `not_registered`, `unknown_worker`, `unsupported_value`, `invalid_argument`
   */
  constructor(remoteDevice: Peer, moduleClass: Invocable<A, M>, ...rest: Rest<A>);
  constructor(remoteDevice: Peer, module: Invocable<A, M> | RRef<M>, ...rest: Rest<A>) {
    const peer = peerOf(remoteDevice);
    if (isRRef(module)) {
      this.#rref = module as RRef<M>;
      checkOwner(module, peer);
      return;
    }
    const make = module as abstract new (...args: A) => M;
    const worker = currentWorker<Worker>();
    // Outside the context in which it may be made: the module outlives it.
    this.#rref = outside(() => worker.remote(peer, make, ...rest));
  }

  /**
   * Another handle on a module that exists; it takes the reference over, and frees it at its own end. PyTorch:
   * `init_from_module_rref`.
   *
   * @throws GradwireError `invalid_argument` if the module is not on that worker
   */
  static initFromModuleRRef<M extends Module>(
    remoteDevice: Peer,
    moduleRRef: RRef<M>,
  ): RemoteModule<M> {
    return new RemoteModule(remoteDevice, moduleRRef as never);
  }

  /**
   * The output of the module, computed on its worker. Tensors of it belong to the caller's scope, or to the caller where there
   * is none. At most once. PyTorch: `forward`, or calling the module.
   *
   * @throws GradwireError as rejection: as `RRef.rpcSync`; `invalid_argument` if what was made is no module
   */
  async forward(...inputs: Parameters<M['forward']>): Promise<Output<M>> {
    return await this.forwardAsync(...inputs);
  }

  /** The same as a future. PyTorch: `forward_async`. @throws GradwireError at once as `RRef.rpcAsync` */
  forwardAsync(...inputs: Parameters<M['forward']>): RpcFuture<Output<M>> {
    const methods = this.#rref.rpcAsync() as unknown as Module;
    const output = methods.forward(...inputs) as RpcFuture<Output<M>>;
    const explained = output.catch((error: unknown) => this.#explain(error));
    return collect(explained as RpcFuture<Output<M>>);
  }

  /**
   * References to the parameters of the module, for a DistributedOptimizer; they are the caller's. PyTorch: `remote_parameters`.
   *
   * @throws GradwireError as rejection, `invalid_argument` if what was made is no module
   */
  async remoteParameters(): Promise<RRef<tf.Variable>[]> {
    const owner = this.#rref.owner();
    const module: RRef<unknown> = this.#rref;
    const worker = currentWorker<Worker>();
    const count = await worker
      .rpcSync(owner, parameterCount, [module])
      .catch((error: unknown) => this.#explain(error));
    return Array.from({ length: count }, (_, index) =>
      outside(() => worker.remote(owner, parameterAt, [module, index])),
    );
  }

  /** The reference to the module; it stays this object's. PyTorch: `get_module_rref`. */
  getModuleRRef(): RRef<M> {
    return this.#rref;
  }

  /** Sets the mode of the module by its own `train(mode)`. PyTorch: `train`, which there ignores its argument. */
  async train(mode = true): Promise<void> {
    const methods = this.#rref.rpcSync() as unknown as Trainable;
    await Promise.resolve(methods.train(mode)).catch((error: unknown) => this.#explain(error));
  }

  /** The same as `train(false)`. */
  eval(): Promise<void> {
    return this.train(false);
  }

  /** Lets go of the module. Idempotent. */
  dispose(): void {
    this.#rref.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** A method that was not there may be a sign that the object is no module. */
  async #explain(error: unknown): Promise<never> {
    if (!isGradwireError(error, 'unknown_method') && !isGradwireError(error, 'invalid_argument')) {
      throw error;
    }
    const fault = await this.#fault().catch(() => undefined);
    if (fault === undefined) throw error;
    const peer = this.#rref.ownerName();
    throw new GradwireError('invalid_argument', `no module on ${peer}: ${fault}`, {
      peer,
      cause: error,
    });
  }

  async #fault(): Promise<string | undefined> {
    const module: RRef<unknown> = this.#rref;
    return await currentWorker<Worker>().rpcSync(module.owner(), moduleFault, [module]);
  }

  static {
    for (const [name, hint] of REFUSALS) {
      const refuse = (): never => {
        throw new GradwireError('unknown_method', `a RemoteModule has no ${name}(): ${hint}`);
      };
      Object.defineProperty(RemoteModule.prototype, name, { value: refuse, configurable: true });
    }
  }
}

/** The worker of a text of PyTorch's form. */
function peerOf(remoteDevice: Peer): Peer {
  if (typeof remoteDevice !== 'string') return remoteDevice;
  const [worker = '', device = 'cpu', ...more] = remoteDevice.split('/');
  if (device !== 'cpu' || more.length > 0) {
    throw new GradwireError(
      'invalid_argument',
      `the remote device '${remoteDevice}' must be WORKER or WORKER/cpu: there is no other device`,
    );
  }
  const rank = /^rank:(\d+)$/.exec(worker)?.[1];
  return rank === undefined ? worker : Number(rank);
}

/** @throws GradwireError `invalid_argument` */
function checkOwner(rref: RRef<unknown>, peer: Peer): void {
  const { name, id } = rref.owner();
  const asked = typeof peer === 'object' ? peer.name : peer;
  if (asked === name || asked === id) return;
  throw new GradwireError('invalid_argument', `the module lives on ${name}, not on ${asked}`);
}

registerValue<RemoteModule<Module>, RRef<Module>>(
  { 'gradwire.RemoteModule': RemoteModule },
  {
    encode: (module) => module.getModuleRRef(),
    decode: (rref) => {
      if (isRRef(rref)) return RemoteModule.initFromModuleRRef(rref.owner(), rref as RRef<Module>);
      throw new GradwireError('protocol_error', 'a RemoteModule came without its reference');
    },
  },
);
