/** The trainer's side of the tutorial: a model whose forward pass runs on the server. */
import { rpc, type tf } from 'gradwire';
import { getParameterServer, type ParameterServer, remoteMethod } from './parameter-server.ts';

export class TrainerNet {
  readonly paramServerRRef: rpc.RRef<ParameterServer>;

  constructor({ seed = 1 }: { readonly seed?: number } = {}) {
    this.paramServerRRef = rpc.remote('parameter_server', getParameterServer, [{ seed }]);
  }

  /** References to the parameters on the server. */
  getGlobalParamRRefs(): Promise<rpc.RRef<tf.Variable>[]> {
    return remoteMethod('getParamRRefs', this.paramServerRRef);
  }

  /** Log-probabilities `[batch, 10]` of images `[batch, 28, 28, 1]`. */
  forward(x: tf.Tensor4D): Promise<tf.Tensor2D> {
    return remoteMethod('forward', this.paramServerRRef, x);
  }
}
