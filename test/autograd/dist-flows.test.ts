/** Which flows run in a context, and what belongs to it. */
import { EventEmitter } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { autograd, tf } from '../../index.ts';
import { frameSlot } from '../../tensor/index.ts';
import { referenceGradients } from '../support/gradients.ts';
import { randomVariable } from '../support/numbers.ts';
import { until } from '../support/until.ts';
import {
  at,
  CARRIERS,
  clean,
  contextCount,
  expectGradients,
  keptAt,
  startTeam,
  type Team,
} from './support.ts';

type ContextId = autograd.ContextId;

const isRecording = (): boolean => frameSlot.get()?.recorder?.tape != null;

describe.each(CARRIERS)('over %s', (carrier) => {
  let team: Team;
  let a: tf.Variable;
  let b: tf.Variable;
  beforeAll(async () => {
    team = await startTeam(3, carrier);
    a = randomVariable([3], 1);
    b = randomVariable([3], 2);
  });
  afterAll(async () => {
    tf.dispose([a, b]);
    await team.stop();
  });

  const inContext = <R>(fn: (id: ContextId) => Promise<R>): Promise<R> =>
    team.as(0, () => autograd.context(fn));
  const farProduct = (): Promise<tf.Tensor> => at(1, (y: tf.Tensor) => tf.mul(y, b), tf.square(a));

  test('a handler is in the context of its call, and in none if the call is in none', () =>
    clean(team, async () => {
      const states = await inContext(async () => [
        await at(1, isRecording),
        await autograd.noGrad(() => at(1, isRecording)),
        await at(1, () => autograd.noGrad(() => at(2, isRecording))),
        await at(1, () => autograd.noGrad(isRecording)),
      ]);
      expect(states).toEqual([true, false, false, false]);
      expect(await team.as(0, () => at(1, isRecording))).toBe(false);
    }));

  test('calls made side by side in and out of contexts stay apart', () =>
    clean(team, async () => {
      const work = Array.from({ length: 12 }, async (_, i) => {
        if (i % 3 === 0) return team.as(0, () => at(1, isRecording));
        return !(await inContext(() => at(1, isRecording)));
      });
      expect(await Promise.all(work)).toEqual(work.map(() => false));
    }));

  test('a connection that was made inside a context brings no later call into it', () =>
    clean(team, async () => {
      const inner = await inContext(async () => {
        const group = await startTeam(2, carrier);
        const ask = (rank: number): Promise<boolean> =>
          group.as(rank, () => at(1 - rank, isRecording));
        expect(() => ask(0)).toThrow(expect.objectContaining({ code: 'unknown_context' }));
        expect(await autograd.noGrad(() => ask(0))).toBe(false);
        expect(await frameSlot.run(undefined, () => ask(1))).toBe(false);
        return group;
      });
      for (const rank of [0, 1]) {
        expect(await inner.as(rank, () => at(1 - rank, isRecording))).toBe(false);
      }
      await inner.stop();
    }));

  test('callbacks of emitters and timers enter by run', () =>
    clean(team, () =>
      inContext(async (id) => {
        const emitter = new EventEmitter();
        const parts: Promise<tf.Tensor>[] = [];
        let isOutside = true;
        team.as(0, () =>
          frameSlot.run(undefined, () => {
            emitter.on('batch', () => {
              isOutside &&= !isRecording();
              parts.push(autograd.run(id, farProduct));
            });
            setImmediate(() => emitter.emit('batch'));
            setTimeout(() => emitter.emit('batch'), 1);
          }),
        );
        await until(() => parts.length === 2);
        expect(isOutside).toBe(true);
        const [p, q] = await Promise.all(parts);
        await autograd.backward(id, [tf.sum(tf.add(p as tf.Tensor, q as tf.Tensor))]);
        const here = (): tf.Tensor => tf.mul(tf.sum(tf.mul(tf.square(a), b)), 2);
        expectGradients(team, id, referenceGradients(here, [a, b]));
      }),
    ));

  test('tensors of a context end with it, unless they are returned or kept', () =>
    clean(team, async () => {
      const made: tf.Tensor[] = [];
      const remote: tf.Tensor[] = [];
      const work = (y: tf.Tensor): tf.Tensor => {
        remote.push(y, tf.mul(y, 2));
        return tf.mul(y, b);
      };
      const { result, list } = await inContext(async () => {
        const y = tf.square(a);
        const kept = tf.keep(tf.neg(y));
        const back = await at(1, work, y);
        made.push(y, kept, back);
        const parts = { result: tf.neg(back), list: [new Map([['deep', tf.exp(y)]])] };
        return parts;
      });
      expect(made.map((t) => t.isDisposed)).toEqual([true, false, true]);
      expect(remote.map((t) => t.isDisposed)).toEqual([true, true]);
      const deep = list[0]?.get('deep') as tf.Tensor;
      expect([result.isDisposed, deep.isDisposed]).toEqual([false, false]);
      tf.dispose([result, deep, made[1] as tf.Tensor]);
    }));

  test('a reference outlives the context it was made in', () =>
    clean(team, async () => {
      const rref = await inContext(async () => {
        const made = keptAt(1, (y: tf.Tensor) => tf.mul(y, b), tf.square(a));
        await made.toHere();
        return made;
      });
      await inContext(async (id) => {
        const here = (await rref.toHere()) as tf.Tensor;
        const failure = autograd.backward(id, [tf.sum(here)]);
        // A value made in another context is a constant.
        await expect(failure).rejects.toMatchObject({ code: 'no_gradient' });
      });
      const copy = (await rref.toHere()) as tf.Tensor;
      copy.dispose();
      rref.dispose();
    }));

  test('calls that nobody awaited fail when their context is over, and leak nothing', () =>
    clean(team, async () => {
      let late: Promise<unknown> = Promise.resolve();
      let later: Promise<unknown> = Promise.resolve();
      let go: () => void = () => {};
      const gate = new Promise<void>((resolve) => {
        go = resolve;
      });
      await inContext(async () => {
        late = at(1, async (y: tf.Tensor) => [await gate, tf.zeros([3]), y], tf.square(a));
        later = gate.then(() => farProduct());
        for (const call of [late, later]) call.catch(() => {});
        await until(() => contextCount(team.workers[1]) === 1);
      });
      await until(() => contextCount(team.workers[1]) === 0);
      go();
      await expect(late).rejects.toMatchObject({ code: 'context_released' });
      await expect(later).rejects.toMatchObject({ code: 'context_released' });
      expect(team.workers.map(contextCount)).toEqual([0, 0, 0]);
    }));

  test('a result that comes after the end of the context is let go', () =>
    clean(team, async () => {
      let late: Promise<unknown> = Promise.resolve();
      await inContext(async () => {
        late = farProduct();
        late.catch(() => {});
      });
      await expect(late).rejects.toMatchObject({ code: 'context_released' });
    }));

  test('contexts nest: the inner one is its own', () =>
    clean(team, () =>
      inContext(async (outer) => {
        const y = tf.square(a);
        await autograd.context(async (inner) => {
          expect(inner).not.toBe(outer);
          const far = await farProduct();
          await autograd.backward(inner, [tf.sum(far)]);
          expectGradients(
            team,
            inner,
            referenceGradients(() => tf.sum(tf.mul(tf.square(a), b)), [a, b]),
          );
        });
        await autograd.backward(outer, [tf.sum(y)]);
        expectGradients(
          team,
          outer,
          referenceGradients(() => tf.sum(tf.square(a)), [a]),
        );
      }),
    ));

  test('a variable may change between forward and backward', () =>
    clean(team, () =>
      inContext(async (id) => {
        const loss = tf.sum(await farProduct());
        const expected = referenceGradients(() => tf.sum(tf.mul(tf.square(a), b)), [a, b]);
        const [oldA, oldB] = autograd.noGrad(() => [tf.clone(a), tf.clone(b)] as const);
        autograd.noGrad(() => {
          a.assign(tf.zerosLike(a));
          b.assign(tf.onesLike(b));
        });
        await autograd.backward(id, [loss]);
        expectGradients(team, id, expected);
        autograd.noGrad(() => {
          a.assign(oldA);
          b.assign(oldB);
        });
      }),
    ));
});
