/** Whatever goes wrong in a context or its pass: an error that names the worker, nothing visible, nothing left. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { autograd, tf } from '../../index.ts';
import { referenceGradients } from '../support/gradients.ts';
import { randomVariable } from '../support/numbers.ts';
import { until } from '../support/until.ts';
import { CuttingTransport } from './cutting.ts';
import {
  at,
  CARRIERS,
  clean,
  contextCount,
  expectGradients,
  gradientCount,
  passCount,
  startTeam,
  type Team,
} from './support.ts';
import { computeFor, withGradient } from './with-gradient.ts';

type ContextId = autograd.ContextId;
const RANKS = [0, 1, 2];

describe.each(CARRIERS)('over %s', (carrier) => {
  let carrierToCut: CuttingTransport;
  let team: Team;
  let a: tf.Variable;
  let b: tf.Variable;
  let c: tf.Variable;
  beforeEach(async () => {
    carrierToCut = new CuttingTransport(carrier);
    team = await startTeam(3, carrier, { transport: carrierToCut, timeoutMs: 5_000 });
    a = randomVariable([3], 1);
    b = randomVariable([3], 2);
    c = randomVariable([3], 3);
  });
  afterEach(async () => {
    tf.dispose([a, b, c]);
    await Promise.all(team.workers.map((worker) => worker.shutdown({ graceful: false })));
  });

  const inContext = (fn: (id: ContextId) => Promise<void>): Promise<void> =>
    team.as(0, () => autograd.context(fn));

  /** w0 → w1 → w2 → w1 → w0, with variables on each; the gradient passes w1 (`onOne`) before w2 (`onTwo`). */
  async function chain(onOne: () => void, onTwo: () => void): Promise<tf.Scalar> {
    const second = (z: tf.Tensor) => withGradient(tf.mul(z, c), onTwo);
    const first = async (y: tf.Tensor) => {
      const back = await at(2, second, tf.mul(y, b));
      return withGradient(tf.mul(back, b), onOne);
    };
    return tf.sum(await at(1, first, tf.square(a)));
  }
  const chainHere = (): tf.Tensor => tf.sum(tf.mul(tf.mul(tf.square(a), tf.square(b)), c));

  async function expectNothingOf(id: ContextId, ranks = RANKS): Promise<void> {
    await until(() => ranks.every((rank) => passCount(team.workers[rank], id) === 0));
    expect(ranks.map((rank) => gradientCount(team, rank, id))).toEqual(ranks.map(() => 0));
  }

  test.each([1, 2])(
    'test_backward_autograd_engine_error, test_backward_python_udf_error: a gradient function throws on w%d',
    (bad) =>
      clean(team, () =>
        inContext(async (id) => {
          const boom = (rank: number) => () => {
            if (rank === bad) throw new RangeError('boom');
          };
          const loss = await chain(boom(1), boom(2));
          const failure = await autograd.backward(id, [loss]).catch((error) => error);
          expect(failure).toMatchObject({
            code: 'backward_failed',
            peer: `w${bad}`,
            message: expect.stringMatching(`w${bad}.*boom`),
            cause: { cause: { name: 'RangeError' } },
          });
          await expectNothingOf(id);
        }),
      ),
  );

  test('a gradient function throws here', () =>
    clean(team, () =>
      inContext(async (id) => {
        const loss = await chain(
          () => {},
          () => {},
        );
        const bad = withGradient(loss, () => {
          throw new TypeError('boom');
        });
        await expect(autograd.backward(id, [bad])).rejects.toMatchObject({
          code: 'backward_failed',
          peer: 'w0',
          cause: { name: 'TypeError' },
        });
        await expectNothingOf(id);
      }),
    ));

  test('an operation without a gradient on another worker', () =>
    clean(team, () =>
      inContext(async (id) => {
        const far = await at(1, (y: tf.Tensor) => tf.topk(tf.mul(y, b), 2).values, tf.square(a));
        await expect(autograd.backward(id, [tf.sum(far)])).rejects.toMatchObject({
          code: 'backward_failed',
          peer: 'w1',
          message: expect.stringContaining('TopK'),
        });
        await expectNothingOf(id);
      }),
    ));

  test('test_multiple_backward_with_errors: fifty failing passes, then as many good ones in the same context (G6)', () =>
    clean(team, () =>
      inContext(async (id) => {
        let isBad = true;
        const loss = await chain(
          () => {},
          () => {
            if (isBad) throw new Error('boom');
          },
        );
        for (let i = 0; i < 50; i++) {
          const failing = autograd.backward(id, [loss], { retainGraph: true });
          await expect(failing).rejects.toMatchObject({ code: 'backward_failed', peer: 'w2' });
        }
        await expectNothingOf(id);
        isBad = false;
        for (let i = 0; i < 49; i++) await autograd.backward(id, [loss], { retainGraph: true });
        const all = (): tf.Tensor => tf.mul(chainHere(), 49);
        expectGradients(team, id, referenceGradients(all, [a, b, c]));
      }),
    ));

  test('an error in the context, and one of a remote function, leave nothing', () =>
    clean(team, async () => {
      const nothing = () => {};
      const here = inContext(async () => {
        await chain(nothing, nothing);
        throw new RangeError('here');
      });
      await expect(here).rejects.toThrow(new RangeError('here'));
      const there = inContext(async () => {
        await chain(nothing, nothing);
        await at(
          1,
          async (y: tf.Tensor) => {
            tf.mul(await at(2, (z: tf.Tensor) => tf.mul(z, c), y), b);
            throw new RangeError('there');
          },
          tf.square(a),
        );
      });
      await expect(there).rejects.toMatchObject({ code: 'remote_error', peer: 'w1' });
    }));

  test('test_backward_node_failure_python_udf: a worker two hops away left before the pass', () =>
    clean(team, () =>
      inContext(async (id) => {
        const loss = await chain(
          () => {},
          () => {},
        );
        await team.workers[2]?.shutdown({ graceful: false });
        await until(() => team.workers[1]?.endpoint.isConnected(2) === false);
        await expect(autograd.backward(id, [loss])).rejects.toMatchObject({
          code: 'backward_failed',
          peer: 'w2',
        });
        await expectNothingOf(id, [0, 1]);
      }),
    ));

  test.each<[string, number | undefined]>([
    ['all', undefined],
    ['the previous worker', 1],
  ])(
    'test_backward_node_failure: a worker is cut off from %s in the middle of the pass',
    (_, other) =>
      clean(team, () =>
        inContext(async (id) => {
          const loss = await chain(
            () => carrierToCut.cut(2, other),
            () => {},
          );
          const start = performance.now();
          await expect(autograd.backward(id, [loss])).rejects.toMatchObject({
            code: 'backward_failed',
            peer: 'w2',
          });
          expect(performance.now() - start).toBeLessThan(2_000);
          await expectNothingOf(id);
        }),
      ),
  );

  test('the initiator is gone, at rest or in the middle of a pass: the others free all', () =>
    clean(team, async () => {
      const atRest = inContext(async () => {
        await chain(
          () => {},
          () => {},
        );
        expect(team.workers.map(contextCount)).toEqual([2, 2, 2]);
        await until(() => contextCount(team.workers[1]) + contextCount(team.workers[2]) === 0);
      });
      await inContext(async (id) => {
        const cut = () => carrierToCut.cut(0);
        const loss = await chain(cut, () => {});
        await until(() => contextCount(team.workers[2]) === 2);
        await expect(autograd.backward(id, [loss])).rejects.toMatchObject({
          code: 'backward_failed',
        });
      });
      await atRest;
    }));

  test('test_clean_context_during_backward: the context ends in the middle of its pass', () =>
    clean(team, async () => {
      let pass: Promise<void> = Promise.resolve();
      await inContext(async (id) => {
        const nothing = () => {};
        pass = autograd.backward(id, [await chain(nothing, nothing)]);
        pass.catch(() => {});
      });
      await expect(pass).rejects.toMatchObject({ code: 'context_released' });
    }));

  test('a worker shuts down in the middle of its own pass', () =>
    clean(team, async () => {
      let closing: Promise<unknown> = Promise.resolve();
      await inContext(async (id) => {
        const loss = await chain(
          () => {
            closing = team.workers[0]?.shutdown({ graceful: false }) ?? closing;
          },
          () => {},
        );
        await expect(autograd.backward(id, [loss])).rejects.toMatchObject({
          code: expect.stringMatching('context_released|shut_down|backward_failed'),
        });
      });
      await closing;
    }));

  test('the time of the pass is over', () =>
    clean(team, () =>
      inContext(async (id) => {
        const loss = await chain(
          () => computeFor(60),
          () => {},
        );
        await expect(autograd.backward(id, [loss], { timeoutMs: 20 })).rejects.toMatchObject({
          code: 'backward_failed',
          message: expect.stringContaining('20 ms'),
        });
        await expectNothingOf(id);
        for (const timeoutMs of [0, -1, Number.NaN]) {
          const refused = autograd.backward(id, [loss], { timeoutMs });
          await expect(refused).rejects.toMatchObject({ code: 'invalid_argument' });
        }
      }),
    ));
});
