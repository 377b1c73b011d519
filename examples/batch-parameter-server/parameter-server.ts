/**
 * The server of PyTorch's tutorial "Implementing Batch RPC Processing Using Asynchronous Executions": it waits for the
 * gradients of all trainers, makes one step with their mean, and answers all of them with the new model.
 */
import { type optim, rpc, tf } from 'gradwire';
import { Net } from './net.ts';

/** Makes the optimizer of the server's parameters. */
export type MakeOptimizer = (parameters: readonly tf.Variable[]) => optim.Optimizer;

export class BatchUpdateParameterServer {
  readonly #model: Net;
  readonly #optimizer: optim.Optimizer;
  readonly #batchUpdateSize: number;
  /** What has been reported for the next update, by rank of the trainer. */
  readonly #reported = new Map<number, readonly tf.Tensor[]>();
  #futureModel = new rpc.RpcFuture<tf.Tensor[]>();
  #updates = 0;

  /** @param batchUpdateSize how many trainers report for one update */
  constructor(batchUpdateSize: number, seed: number, makeOptimizer: MakeOptimizer) {
    this.#model = new Net(seed);
    this.#optimizer = makeOptimizer(this.#model.parameters());
    this.#batchUpdateSize = batchUpdateSize;
  }

  /** The parameters of the model; they travel as plain tensors. */
  getModel(): tf.Tensor[] {
    return this.#model.parameters();
  }

  /**
   * Takes the gradients of the trainer that calls. Its call is answered, as those of the others, when all have reported and
   * the model is updated. No lock: JavaScript runs this without a break.
   */
  updateAndFetchModel(grads: tf.Tensor[]): rpc.RpcFuture<tf.Tensor[]> {
    const trainer = rpc.currentCall()?.caller.id;
    if (trainer === undefined) throw new Error('updateAndFetchModel is to be called by a trainer');
    this.#reported.set(trainer, grads);
    const future = this.#futureModel;
    if (this.#reported.size >= this.#batchUpdateSize) {
      this.#update();
      this.#futureModel = new rpc.RpcFuture();
      future.setResult(this.getModel());
    }
    return future;
  }

  /** How many updates there were. */
  get updates(): number {
    return this.#updates;
  }

  /** One step with the mean, summed in order of rank: who was first makes no difference. */
  #update(): void {
    const ranks = [...this.#reported.keys()].sort((a, b) => a - b);
    const reports = ranks.map((rank) => this.#reported.get(rank) as readonly tf.Tensor[]);
    const means = this.#model.parameters().map((parameter, i) => {
      const mean = tf.tidy(() => {
        const [first, ...others] = reports.map((grads) => grads[i] as tf.Tensor);
        const sum = others.reduce((total, grad) => tf.add(total, grad), first as tf.Tensor);
        return tf.div(sum, reports.length);
      });
      return [parameter, mean] as const;
    });
    this.#optimizer.step(new Map(means));
    this.#updates++;
    this.#reported.clear();
    tf.dispose(means.map(([, mean]) => mean));
  }

  dispose(): void {
    this.#optimizer.dispose();
    this.#model.dispose();
  }
}

// A decorator in PyTorch; here the method is marked, so that the file runs where there are no decorators.
rpc.asyncExecution(BatchUpdateParameterServer.prototype.updateAndFetchModel);
rpc.register({ BatchUpdateParameterServer });
