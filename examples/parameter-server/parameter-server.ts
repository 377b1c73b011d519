/** The server of the tutorial: one model, which all trainers call, and the references through which they update it. */
import { autograd, rpc, type tf } from 'gradwire';
import { endWith } from '../support/end-with.ts';
import { Net } from './net.ts';

/** Calls a method of the object behind `rref` on its owner. Departs from the tutorial in one thing: the method is its name. */
export function remoteMethod<T, K extends keyof rpc.RemoteMethods<T>>(
  method: K,
  rref: rpc.RRef<T>,
  ...args: Parameters<rpc.RemoteMethods<T>[K]>
): ReturnType<rpc.RemoteMethods<T>[K]> {
  const call: unknown = rref.rpcSync()[method];
  return (call as (...a: typeof args) => ReturnType<rpc.RemoteMethods<T>[K]>)(...args);
}

export class ParameterServer {
  readonly #model: Net;

  constructor({ seed = 1 }: { readonly seed?: number } = {}) {
    this.#model = new Net({ seed });
  }

  /** Log-probabilities `[batch, 10]` of images `[batch, 28, 28, 1]`. */
  forward(input: tf.Tensor4D): tf.Tensor2D {
    return this.#model.forward(input);
  }

  /** Gradients that the context holds for the parameters, by their names: for looking at them. */
  getDistGradients(contextId: autograd.ContextId): Map<string, tf.Tensor> {
    const gradients = autograd.getGradients(contextId);
    const named = new Map<string, tf.Tensor>();
    for (const [name, parameter] of this.#model.namedParameters()) {
      const gradient = gradients.get(parameter);
      if (gradient !== undefined) named.set(name, gradient);
    }
    return named;
  }

  /** How many parameters have a gradient in the context: what the loop needs to know, without their megabytes. */
  countDistGradients(contextId: autograd.ContextId): number {
    return this.getDistGradients(contextId).size;
  }

  /** References to the parameters, for a DistributedOptimizer. */
  getParamRRefs(): rpc.RRef<tf.Variable>[] {
    return this.#model.parameters().map((parameter) => new rpc.RRef(parameter));
  }

  train(mode = true): void {
    this.#model.train(mode);
  }

  /** Turns dropout off, for all that call the server. */
  eval(): void {
    this.train(false);
  }
}

let paramServer: ParameterServer | undefined;

/** The one server of this process: the first call makes it. (No lock is needed: JavaScript runs this without a break.) */
export function getParameterServer(options: { readonly seed?: number } = {}): ParameterServer {
  paramServer ??= new ParameterServer(options);
  return paramServer;
}

rpc.register({ ParameterServer, getParameterServer });

/** Rank 0: serves until all trainers are done. */
export async function runParameterServer(options: rpc.InitOptions): Promise<void> {
  console.log('PS master initializing RPC');
  endWith(await rpc.init({ ...options, name: 'parameter_server', rank: 0 }));
  console.log('RPC initialized! Running parameter server...');
  await rpc.shutdown();
  console.log('RPC shutdown on parameter server.');
}
