/** Custom operations whose gradient is a closure over their inputs: these must live as long as the graph does. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { autograd, type rpc, tf } from '../../index.ts';
import { referenceGradients } from '../support/gradients.ts';
import { randomVariable } from '../support/numbers.ts';
import { until } from '../support/until.ts';
import { at, CARRIERS, clean, expectGradients, keptAt, startTeam, type Team } from './support.ts';

type X = tf.Tensor;

/** The square of its input, which its gradient holds without saving it. */
const squareOf: (x: X) => X = tf.customGrad((x) => ({
  value: tf.square(x as X),
  gradFunc: (dy: X) => tf.mul(dy, tf.mul(x as X, 2)),
}));

const OPERATIONS: readonly [name: string, op: (x: X) => X][] = [
  ['logSigmoid', (x) => tf.logSigmoid(x)],
  ['a custom gradient', squareOf],
  ['both in a row', (x) => squareOf(tf.logSigmoid(squareOf(tf.logSigmoid(x))))],
  ['two uses of one tensor', (x) => tf.add(squareOf(x), tf.logSigmoid(x))],
];

describe.each(CARRIERS)('over %s', (carrier) => {
  let team: Team;
  let v: tf.Variable;
  let w: tf.Variable;
  beforeAll(async () => {
    team = await startTeam(2, carrier);
    v = randomVariable([3], 1);
    w = randomVariable([3], 2);
  });
  afterAll(async () => {
    tf.dispose([v, w]);
    await team.stop();
  });

  const inContext = (fn: (id: autograd.ContextId) => Promise<void>): Promise<void> =>
    team.as(0, () => autograd.context(fn));
  const expectSquare = (id: autograd.ContextId, op: (x: X) => X, passes = 1): void => {
    const loss = (): X => tf.mul(tf.sum(op(tf.mul(v, w))), passes);
    expectGradients(team, id, referenceGradients(loss, [v, w]));
  };

  describe.each(OPERATIONS)('%s', (_name, op) => {
    test.each([
      ['on the argument', () => at(1, (x: X) => op(x), tf.mul(v, w))],
      ['on what a handler makes', () => at(1, (x: X) => op(tf.mul(x, w)), v)],
      [
        'after an await',
        () =>
          at(
            1,
            async (x: X) => {
              const product = tf.mul(x, w);
              await product.data();
              return op(product);
            },
            v,
          ),
      ],
      ['in a tidy', () => at(1, (x: X) => tf.tidy(() => op(tf.mul(x, w))), v)],
      ['in a tidy in a tidy', () => at(1, (x: X) => tf.tidy(() => inner(op, x)), v)],
      ['in a tidy of the caller', async () => tf.tidy(() => op(tf.mul(v, w)))],
    ])('%s', (_where, forward) =>
      clean(team, () =>
        inContext(async (id) => {
          await autograd.backward(id, [tf.sum(await forward())]);
          expectSquare(id, op);
        }),
      ),
    );

    test('passed again', () =>
      clean(team, () =>
        inContext(async (id) => {
          const loss = tf.sum(await at(1, (x: X) => tf.tidy(() => op(tf.mul(x, w))), v));
          await autograd.backward(id, [loss], { retainGraph: true });
          await autograd.backward(id, [loss]);
          expectSquare(id, op, 2);
        }),
      ));

    test('in an object that is dropped before the pass', () =>
      clean(team, () =>
        inContext(async (id) => {
          const far: rpc.RRef<X> = keptAt(1, (x: X) => op(tf.mul(x, w)), v);
          const loss = tf.sum(await far.toHere());
          far.dispose();
          await autograd.backward(id, [loss]);
          expectSquare(id, op);
        }),
      ));
  });

  function inner(op: (x: X) => X, x: X): X {
    const product = tf.mul(x, w);
    return tf.tidy(() => op(product));
  }

  test('what a tidy returns stays with its caller', () =>
    clean(team, () =>
      inContext(async (id) => {
        const [x, y] = tf.tidy(() => {
          const product = tf.mul(v, w);
          return [product, squareOf(product)] as const;
        });
        await autograd.backward(id, [tf.sum(y)]);
        expect(x.isDisposed).toBe(false);
        expect((await x.data()).length).toBe(3);
      }),
    ));

  test('a pass frees what it held, and 20 of them leave nothing', () =>
    clean(team, () =>
      inContext(async (id) => {
        const before = tf.memory().numTensors;
        for (let i = 0; i < 20; i++) {
          const y = await at(1, (x: X) => tf.tidy(() => tf.logSigmoid(tf.mul(x, w))), v);
          const loss = tf.sum(y);
          await autograd.backward(id, [loss]);
          tf.dispose([y, loss]);
          // The gradients of v and w alone.
          await until(() => tf.memory().numTensors === before + 2);
        }
      }),
    ));

  test('a context that ends without a pass leaves nothing', () =>
    clean(team, async () => {
      for (let i = 0; i < 20; i++) {
        await inContext(async () => {
          await at(1, (x: X) => tf.tidy(() => squareOf(tf.logSigmoid(tf.mul(x, w)))), v);
        });
      }
    }));

  test.each([0, 1])('an error of a gradient function names operation and worker w%d', (rank) =>
    clean(team, () =>
      inContext(async (id) => {
        const failing = tf.customGrad((x) => ({
          value: tf.neg(x as X),
          gradFunc: (): X => {
            throw new RangeError('mine');
          },
        }));
        const named = (x: X): X => tf.tidy('scaled', () => failing(tf.mul(x, w)));
        const y = rank === 0 ? named(v) : await at(1, named, v);
        await expect(autograd.backward(id, [tf.sum(y)])).rejects.toMatchObject({
          code: 'backward_failed',
          peer: `w${rank}`,
          message: expect.stringMatching(new RegExp(`w${rank}.*mine \\(in the gradient of scaled`)),
        });
      }),
    ),
  );

  test('a gradient function that uses a freed tensor is told of it', () =>
    clean(team, () =>
      inContext(async (id) => {
        const loss = await at(
          1,
          (x: X) => {
            const mask = tf.ones([3]);
            const masked = tf.customGrad((y) => ({
              value: tf.mul(y as X, mask),
              gradFunc: (dy: X) => tf.mul(dy, mask),
            }));
            return tf.sum(masked(tf.mul(x, w)));
          },
          v,
        );
        await expect(autograd.backward(id, [loss])).rejects.toThrow(
          /w1.*in the gradient of a custom operation; it uses a tensor that was freed: give it/,
        );
      }),
    ));
});
