/** The tutorial's net on another worker has the gradients of an identical net here: over gRPC, on wasm. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Net } from '../../examples/parameter-server/net.ts';
import { autograd, tf } from '../../index.ts';
import { callOn, clean, holderAt, startTeam, type Team } from '../autograd/support.ts';
import { referenceGradients } from '../support/gradients.ts';
import { randomTensor, relativeDifference } from '../support/numbers.ts';

const BATCH = 8;

let team: Team;
beforeAll(async () => {
  team = await startTeam(2, 'grpc', { engine: 'wasm' });
});
afterAll(() => team.stop());

/** Mean negative log-likelihood. */
function lossOf(logProbabilities: tf.Tensor, labels: tf.Tensor): tf.Scalar {
  return tf.neg(tf.mean(tf.sum(tf.mul(logProbabilities, labels), 1)));
}

test.each(['eval', 'train'])('in %s mode', (mode) =>
  clean(team, () =>
    team.as(1, async () => {
      expect(tf.getBackend()).toBe('wasm');
      const images = randomTensor([BATCH, 28, 28, 1], 7) as tf.Tensor4D;
      const labels = tf.tidy(() =>
        tf.cast(tf.oneHot(tf.range(0, BATCH, 1, 'int32') as tf.Tensor1D, 10), 'float32'),
      );
      // Both draw the same dropout masks: the seed gives them.
      const here = new Net({ seed: 3 }).train(mode === 'train');
      const expected = [
        ...referenceGradients(
          () => lossOf(here.forward(images), labels),
          here.parameters(),
        ).values(),
      ];
      const there: { net?: Net } = {};
      using holder = holderAt(0, () => {
        there.net = new Net({ seed: 3 }).train(mode === 'train');
        return there.net;
      });
      await autograd.context(async (id) => {
        const output = await callOn(holder, (net: Net, x: tf.Tensor4D) => net.forward(x), images);
        await autograd.backward(id, [lossOf(output, labels)]);
        const compare = (): number[] => {
          const gradients = autograd.getGradients(id);
          const parameters = there.net?.parameters() ?? [];
          return parameters.map((parameter, i) => {
            const gradient = gradients.get(parameter);
            const wanted = expected[i];
            if (gradient === undefined || wanted === undefined) return Number.POSITIVE_INFINITY;
            return relativeDifference(gradient, wanted);
          });
        };
        const differences = await autograd.noGrad(() => team.as(0, compare));
        expect(differences).toHaveLength(8);
        expect(Math.max(...differences)).toBeLessThanOrEqual(1e-6);
      });
      here.dispose();
      tf.dispose([images, labels, ...expected]);
    }),
  ),
);
