/** Replicas of dense layers that stay alike. Knows nothing of the model. */
import { rpc, tf } from 'gradwire';

/**
 * The means of the gradients that all trainers have for parameters, the same on all of them, in order of their ranks. All
 * trainers call it in each step. PyTorch: what `DistributedDataParallel` does in a backward pass.
 *
 * @param gradients one for each of `parameters`; they stay the caller's, the means are the caller's too
 */
export async function averageGradients(
  trainers: readonly string[],
  parameters: readonly tf.Variable[],
  gradients: ReadonlyMap<tf.Tensor, tf.Tensor>,
): Promise<Map<tf.Tensor, tf.Tensor>> {
  const own = parameters.map((parameter) => gradients.get(parameter) as tf.Tensor);
  const all = [...(await rpc.allGather(own, trainers)).values()];
  const means = parameters.map((parameter, i) => {
    const mean = tf.tidy(() => tf.div(tf.addN(all.map((of) => of[i] as tf.Tensor)), all.length));
    return [parameter, mean] as const;
  });
  tf.dispose(all);
  return new Map(means);
}
