/** The distributed optimizer updates as a local one does, and says what is wrong with what it is given. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { autograd, optim, rpc, tf } from '../../index.ts';
import { at, CARRIERS, clean, keptAt, startTeam, type Team } from '../autograd/support.ts';
import { referenceGradients } from '../support/gradients.ts';
import { randomTensor, randomVariable, relativeDifference } from '../support/numbers.ts';
import { until } from '../support/until.ts';

const { DistributedOptimizer, SGD } = optim;
type Options = optim.SGDOptions;

class Unnamed extends SGD {}

class Failing extends SGD {
  override step(): void {
    throw new RangeError('no step today');
  }
}
optim.registerOptimizer('test.Failing', Failing);

describe.each(CARRIERS)('over %s', (carrier) => {
  let team: Team;
  let a: tf.Variable;
  let b: tf.Variable;
  let x: tf.Tensor;
  const rejections: unknown[] = [];
  const note = (reason: unknown): number => rejections.push(reason);
  beforeAll(async () => {
    process.on('unhandledRejection', note);
    team = await startTeam(4, carrier);
    a = randomVariable([2, 3], 1);
    b = randomVariable([3], 2);
    x = randomTensor([4, 2], 3);
  });
  afterAll(async () => {
    tf.dispose([a, b, x]);
    await team.stop();
    process.off('unhandledRejection', note);
    expect(rejections).toEqual([]);
  });

  const as0 = <R>(fn: () => R): R => team.as(0, fn);
  /** References to a on w1 and b on w2. */
  const references = (): [rpc.RRef<tf.Variable>, rpc.RRef<tf.Variable>] => [
    keptAt(1, () => a),
    keptAt(2, () => b),
  ];
  const lossHere = (p: tf.Tensor, q: tf.Tensor): tf.Scalar =>
    tf.mean(tf.square(tf.add(tf.matMul(x as tf.Tensor2D, p as tf.Tensor2D), q)));
  const lossThere = async (): Promise<tf.Scalar> => {
    const y = await at(
      1,
      (z: tf.Tensor) => tf.matMul(z as tf.Tensor2D, a as unknown as tf.Tensor2D),
      x,
    );
    return tf.mean(tf.square(await at(2, (z: tf.Tensor) => tf.add(z, b), y as tf.Tensor)));
  };
  const dispose = (rrefs: readonly rpc.RRef<unknown>[]): void => {
    for (const rref of rrefs) rref.dispose();
  };

  test.each<Options>([
    { lr: 0.1 },
    { lr: 0.05, momentum: 0.9, weightDecay: 0.01 },
    { lr: 0.05, momentum: 0.9, nesterov: true },
    { lr: 0.05, momentum: 0.5, dampening: 0.3 },
  ])('twenty steps with two owners equal a local optimizer: %j', (options) =>
    clean(team, () =>
      as0(async () => {
        const [p, q] = tf.tidy(() => [tf.variable(tf.clone(a)), tf.variable(tf.clone(b))] as const);
        const local = new SGD([p, q], options);
        const rrefs = references();
        using optimizer = new DistributedOptimizer(SGD, rrefs, options);
        dispose(rrefs);
        for (let step = 0; step < 20; step++) {
          await autograd.context(async (id) => {
            await autograd.backward(id, [await lossThere()]);
            await optimizer.step(id);
          });
          const gradients = referenceGradients(() => lossHere(p, q), [p, q]);
          local.step(gradients);
          tf.dispose([...gradients.values()]);
        }
        expect(relativeDifference(a, p)).toBeLessThanOrEqual(1e-6);
        expect(relativeDifference(b, q)).toBeLessThanOrEqual(1e-6);
        local.dispose();
        tf.dispose([p, q]);
      }),
    ),
  );

  test('steps of three trainers on one server: none fails, each is applied once', () =>
    clean(team, async () => {
      const w = tf.tidy(() => tf.variable(tf.zeros([3])));
      await Promise.all(
        [0, 1, 2].map((rank) =>
          team.as(rank, async () => {
            const rref = keptAt(3, () => w);
            using optimizer = new DistributedOptimizer(SGD, [rref], { lr: 1 });
            rref.dispose();
            await optimizer.ready();
            for (let step = 0; step < 10; step++) {
              await autograd.context(async (id) => {
                const loss = await at(3, () => tf.sum(tf.mul(w, 2 ** rank)));
                await autograd.backward(id, [loss]);
                await optimizer.step(id);
              });
            }
          }),
        ),
      );
      expect(w.dataSync()).toEqual(Float32Array.of(-70, -70, -70));
      w.dispose();
    }));

  test('parameters without a gradient and owners without a part stay as they are', () =>
    clean(team, () =>
      as0(async () => {
        const before = [a, b].map((v) => v.dataSync().slice());
        const rrefs = references();
        using optimizer = new DistributedOptimizer(SGD, rrefs, { lr: 1 });
        dispose(rrefs);
        await autograd.context(async (id) => {
          await autograd.backward(id, [await at(2, () => tf.sum(b))]);
          await optimizer.step(id);
          // A flow outside of the context may make the step as well.
          await autograd.noGrad(() => optimizer.step(id));
        });
        expect(a.dataSync()).toEqual(before[0]);
        expect(b.dataSync()).toEqual(before[1]?.map((value) => value - 2));
      }),
    ));

  test('an optimizer made in a context outlives it', () =>
    clean(team, () =>
      as0(async () => {
        const rrefs = references();
        const optimizer = await autograd.context(
          async () => new DistributedOptimizer(SGD, rrefs, { lr: 0.1, momentum: 0.9 }),
        );
        dispose(rrefs);
        await optimizer.ready();
        await autograd.context(async (id) => {
          await autograd.backward(id, [await lossThere()]);
          await optimizer.step(id);
        });
        optimizer[Symbol.dispose]();
      }),
    ));

  test('state on the owners is freed with the optimizer', () =>
    clean(team, () =>
      as0(async () => {
        const rrefs = references();
        const before = tf.memory().numTensors;
        const optimizer = new DistributedOptimizer(SGD, rrefs, { lr: 0.1, momentum: 0.9 });
        await autograd.context(async (id) => {
          await autograd.backward(id, [await lossThere()]);
          await optimizer.step(id);
        });
        await until(() => tf.memory().numTensors === before + 2);
        optimizer[Symbol.dispose]();
        await until(() => tf.memory().numTensors === before);
        await expect(optimizer.ready()).rejects.toMatchObject({ code: 'rref_disposed' });
        dispose(rrefs);
      }),
    ));

  test('what it is given must be a list of different references', () =>
    clean(team, () =>
      as0(() => {
        const [p, q] = references();
        const make = (given: unknown) => () =>
          new DistributedOptimizer(SGD, given as rpc.RRef<tf.Variable>[], { lr: 1 });
        const invalid = expect.objectContaining({ code: 'invalid_argument' });
        for (const given of [[], undefined, p, [p, q, p], [a], [undefined]]) {
          expect(make(given)).toThrow(invalid);
        }
        expect(() => new DistributedOptimizer(Unnamed, [p], { lr: 1 })).toThrow(
          expect.objectContaining({ code: 'not_registered' }),
        );
        q.dispose();
        expect(make([p, q])).toThrow(expect.objectContaining({ code: 'rref_disposed' }));
        p.dispose();
      }),
    ));

  async function expectRefused(
    rrefs: readonly rpc.RRef<tf.Variable>[],
    options: unknown,
    text: RegExp,
  ): Promise<void> {
    using optimizer = new DistributedOptimizer(SGD, rrefs, options as Options);
    dispose(rrefs);
    const refusal = { message: expect.stringMatching(text) };
    await expect(optimizer.ready()).rejects.toMatchObject(refusal);
    await autograd.context(async (id) => {
      await expect(optimizer.step(id)).rejects.toMatchObject(refusal);
    });
  }

  test('what the owner refuses shows in ready and in step', () =>
    clean(team, () =>
      as0(async () => {
        await expectRefused(references(), { lr: -1 }, /lr/);
        await expectRefused(references(), { lr: 1, speed: 2 }, /speed/);
        await expectRefused(references(), undefined, /SGD needs the option lr/);
        const number = keptAt(1, () => 5) as unknown as rpc.RRef<tf.Variable>;
        await expectRefused([number], { lr: 1 }, /Variable/);
        await expectRefused([keptAt(1, () => a), keptAt(1, () => a)], { lr: 1 }, /twice/);
        const failing = keptAt(1, (): tf.Variable => {
          throw new Error('no parameter');
        });
        await expectRefused([failing], { lr: 1 }, /no parameter/);
      }),
    ));

  test('a step that throws on its owners; other optimizers go on', () =>
    clean(team, () =>
      as0(async () => {
        const rrefs = references();
        using good = new DistributedOptimizer(SGD, rrefs, { lr: 0 });
        using bad = new DistributedOptimizer(Failing, rrefs, { lr: 1 });
        dispose(rrefs);
        await autograd.context(async (id) => {
          await autograd.backward(id, [await lossThere()]);
          await expect(bad.step(id)).rejects.toMatchObject({
            code: 'remote_error',
            message: expect.stringContaining('no step today'),
          });
          await good.step(id);
        });
      }),
    ));

  test('a class that the owner does not know', () =>
    clean(team, () =>
      as0(async () => {
        // In one process the table is shared: the name is one that only the caller can have meant.
        const rrefs = references();
        const local = rpc.named<(...args: unknown[]) => unknown>('gradwire.LocalOptimizer');
        using wrong = rpc.remote('w1', local, ['Unheard', [rrefs[0]], { lr: 1 }]);
        const ready = (wrong as rpc.RRef<{ ready(): Promise<void> }>).rpcSync().ready();
        await expect(ready).rejects.toMatchObject({ code: 'unknown_function' });
        dispose(rrefs);
      }),
    ));

  test('a step in a context that is over, or unknown', () =>
    clean(team, () =>
      as0(async () => {
        const rrefs = references();
        using optimizer = new DistributedOptimizer(SGD, rrefs, { lr: 1 });
        dispose(rrefs);
        const over = await autograd.context(async (id) => id);
        await expect(optimizer.step(over)).rejects.toMatchObject({ code: 'context_released' });
        const nobody = 'none.7' as autograd.ContextId;
        await expect(optimizer.step(nobody)).rejects.toMatchObject({ code: 'unknown_context' });
        await optimizer.ready();
      }),
    ));
});
