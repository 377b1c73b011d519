import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import { setImmediate } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { Graph } from '../../autograd/graph.ts';
import type { Gradient } from '../../autograd/leaves.ts';
import { Pass } from '../../autograd/pass.ts';
import { outside, tf } from '../../tensor/index.ts';
import { backward, referenceGradients, withGraph, worstDifference } from '../support/gradients.ts';
import { expectNoLeak } from '../support/leaks.ts';
import { randomTensor, randomVariable, relativeDifference } from '../support/numbers.ts';

type MatrixVariable = tf.Variable & tf.Tensor2D;

/** Options of a pass that notes what each leaf gets; the gradients are the caller's. */
function collecting(retainGraph = false) {
  const leaves: [leaf: tf.Tensor, gradient: tf.Tensor | null][] = [];
  const onLeaf = (leaf: tf.Tensor, gradient: Gradient | null): void => {
    leaves.push([leaf, gradient as tf.Tensor | null]);
  };
  return { retainGraph, onLeaf, leaves };
}

describe.each(['cpu', 'wasm'])('on %s', (engine) => {
  beforeEach(async () => {
    await tf.setBackend(engine);
  });

  test('a network split over two graphs, joined by leaf and feed', () =>
    expectNoLeak(async () => {
      const x = randomTensor([3, 4], 1) as tf.Tensor2D;
      const w1 = randomVariable([4, 5], 2) as unknown as MatrixVariable;
      const w2 = randomVariable([5, 2], 3) as unknown as MatrixVariable;
      const first = (): tf.Tensor2D => tf.tanh(tf.matMul(x, w1));
      const second = (h: tf.Tensor2D): tf.Tensor => tf.sum(tf.sigmoid(tf.matMul(h, w2)));
      const expected = referenceGradients(() => second(first()), [w1, w2]);
      const [a, b] = [new Graph('a'), new Graph('b')];
      const sent = await a.run(async () => {
        await setImmediate();
        return first();
      });
      const received = tf.tensor2d(sent.dataSync(), sent.shape);
      b.leaf(received);
      const loss = await b.run(async () => {
        await setImmediate();
        return second(received);
      });
      const options = collecting();
      const passB = new Pass(b, [loss], options);
      passB.feedOnes(loss);
      const [arrived] = options.leaves;
      expect([passB.isDone, arrived?.[0]]).toEqual([true, received]);
      await setImmediate();
      const passA = new Pass(a, [sent], collecting());
      passA.feed(sent, arrived?.[1] ?? null);
      // Nothing is visible before commit.
      expect([a.gradients.size, b.gradients.size]).toEqual([0, 0]);
      passA.commit();
      passB.commit();
      const gradients = new Map([...a.gradients, ...b.gradients]);
      expect(worstDifference(gradients, expected)).toBe(0);
      a.release();
      b.release();
      tf.dispose([x, w1, w2, received, arrived?.[1] ?? [], ...expected.values()]);
    }));

  test('three roots in any order, with awaits between: each node runs once', () =>
    expectNoLeak(async () => {
      const w = randomVariable([6, 6], 1) as unknown as MatrixVariable;
      const x = randomTensor([5, 6], 2) as tf.Tensor2D;
      const dys = [3, 4, 5].map((seed) => randomTensor([5, 6], seed));
      let runs = 0;
      const counted = tf.customGrad((t, save) => {
        (save as tf.GradSaveFunc)([t as tf.Tensor]);
        return {
          value: tf.tanh(t as tf.Tensor),
          gradFunc: (dy: tf.Tensor, [s]: tf.Tensor[]) => {
            runs++;
            return tf.mul(dy, tf.sub(1, tf.square(tf.tanh(s as tf.Tensor))));
          },
        };
      });
      const outputs = (): tf.Tensor[] => {
        const t = counted(tf.matMul(x, w)) as tf.Tensor2D;
        return [tf.mul(t, t), tf.sigmoid(tf.matMul(t, w)), tf.relu(t)];
      };
      const weighted = (): tf.Tensor =>
        tf.addN(outputs().map((y, i) => tf.sum(tf.mul(y, dys[i] as tf.Tensor))));
      const expected = referenceGradients(weighted, [w]);
      for (const order of [
        [0, 1, 2],
        [2, 0, 1],
        [1, 2, 0],
      ]) {
        await withGraph(async (graph) => {
          const ys = outputs();
          runs = 0;
          const pass = new Pass(graph, ys, collecting());
          for (const i of order) {
            expect(pass.isDone).toBe(false);
            pass.feed(ys[i] as tf.Tensor, dys[i] as tf.Tensor);
            await setImmediate();
          }
          expect([pass.isDone, runs]).toEqual([true, 1]);
          pass.commit();
          expect(worstDifference(graph.gradients, expected)).toBeLessThan(1e-6);
        });
      }
      expect(dys.some((dy) => dy.isDisposed)).toBe(false);
      tf.dispose([w, x, ...dys, ...expected.values()]);
    }));

  test('roots may repeat, and be leaves or Variables; each leaf is told once', () =>
    expectNoLeak(async () => {
      const [a, b, one] = [tf.scalar(2), tf.scalar(3), tf.scalar(1)];
      const v = tf.tidy(() => tf.variable(tf.scalar(5)));
      await withGraph((graph) => {
        graph.leaf(a);
        graph.leaf(b);
        const y = tf.mul(a, v);
        const options = collecting();
        const pass = new Pass(graph, [y, y, a, b, b, v], options);
        pass.feed(b, null);
        pass.feed(y, one);
        pass.feed(a, one);
        pass.feed(v, one);
        expect(options.leaves).toEqual([]);
        pass.feed(b, null);
        expect(options.leaves).toEqual([[b, null]]);
        pass.feedOnes(y);
        expect(options.leaves.map(([leaf, g]) => [leaf, g?.dataSync()[0]])).toEqual([
          [b, undefined],
          [a, 11],
        ]);
        expect(pass.isDone).toBe(true);
        expect(() => pass.feed(y, one)).toThrow(/^invalid_argument/);
        pass.commit();
        pass.commit();
        expect(graph.gradients.get(v)?.dataSync()[0]).toBe(5);
        tf.dispose(options.leaves.map(([, g]) => g ?? []));
      });
      tf.dispose([a, b, one, v]);
    }));

  test('"no gradient" travels: leaves behind it get null, nothing is computed', () =>
    expectNoLeak(async () => {
      const [a, b] = [tf.scalar(2), tf.scalar(3)];
      await withGraph((graph) => {
        graph.leaf(a);
        graph.leaf(b);
        const ya = tf.exp(a);
        const yab = tf.mul(ya, b);
        const options = collecting();
        const pass = new Pass(graph, [ya, yab], options);
        pass.feed(yab, null);
        expect(options.leaves).toEqual([[b, null]]);
        pass.feedOnes(ya);
        expect(options.leaves[1]?.[1]?.dataSync()[0]).toBeCloseTo(Math.exp(2), 4);
        tf.dispose(options.leaves[1]?.[1] ?? []);
      });
      tf.dispose([a, b]);
    }));

  test('masks and indices computed inside are constants', () =>
    expectNoLeak(async () => {
      const w = randomVariable([3, 3], 1);
      await withGraph((graph) => {
        backward(graph, [tf.sum(tf.where(tf.greater(w, 0), w, tf.mul(w, 2)))]);
        const expected = tf.tidy(() =>
          tf.where(tf.greater(w, 0), tf.onesLike(w), tf.fill([3, 3], 2)),
        );
        expect(relativeDifference(graph.gradients.get(w) as tf.Tensor, expected)).toBe(0);
      });
      w.dispose();
    }));

  test('custom gradients and fused operations', () =>
    expectNoLeak(async () => {
      const w = randomVariable([4, 3], 1) as unknown as MatrixVariable;
      const b = randomVariable([3], 2);
      const x = randomTensor([5, 4], 3) as tf.Tensor2D;
      const cube = tf.customGrad((t, save) => {
        (save as tf.GradSaveFunc)([t as tf.Tensor]);
        return {
          value: tf.pow(t as tf.Tensor, 3),
          gradFunc: (dy: tf.Tensor, [s]: tf.Tensor[]) =>
            tf.mul(dy, tf.mul(3, tf.square(s as tf.Tensor))),
        };
      });
      const loss = (): tf.Tensor =>
        tf.sum(cube(tf.fused.matMul({ a: x, b: w, bias: b, activation: 'sigmoid' })));
      const expected = referenceGradients(loss, [w, b]);
      await withGraph(async (graph) => {
        const l = loss();
        await setImmediate();
        backward(graph, [l]);
        expect(worstDifference(graph.gradients, expected)).toBe(0);
      });
      tf.dispose([w, b, x, ...expected.values()]);
    }));

  test('a custom gradient may hand back dy, a saved tensor, or one of its own, for several inputs', () =>
    expectNoLeak(async () => {
      const [v, w] = [1, 2].map((n) => tf.tidy(() => tf.variable(tf.scalar(n)))) as [
        tf.Variable,
        tf.Variable,
      ];
      const constant = tf.scalar(7);
      const choices: ((dy: tf.Tensor, saved: tf.Tensor) => tf.Tensor)[] = [
        (dy) => dy,
        (_, saved) => saved,
        () => constant,
        (dy) => tf.neg(dy),
      ];
      for (const [i, choose] of choices.entries()) {
        const op = tf.customGrad((a, b, save) => {
          (save as tf.GradSaveFunc)([a as tf.Tensor]);
          return {
            value: tf.add(a as tf.Tensor, b as tf.Tensor),
            gradFunc: (dy: tf.Tensor, [saved]: tf.Tensor[]) => {
              const g = choose(dy, saved as tf.Tensor);
              return [g, g];
            },
          };
        });
        await withGraph((graph) => {
          // In a scope of its own: whatever the gradient hands back must not be taken from its owner.
          backward(graph, [graph.run(() => op(v, w))]);
          const values = [v, w].map((of) => graph.gradients.get(of)?.dataSync()[0]);
          expect(values).toEqual(
            (
              [
                [1, 1],
                [1, 1],
                [7, 7],
                [-1, -1],
              ] as const
            )[i],
          );
        });
      }
      expect(constant.isDisposed).toBe(false);
      tf.dispose([v, w, constant]);
    }));

  test('assigning between forward and backward: gradients of the values that were used', () =>
    expectNoLeak(async () => {
      const w = randomVariable([4, 4], 1) as unknown as MatrixVariable;
      const x = randomTensor([3, 4], 2) as tf.Tensor2D;
      const loss = (): tf.Tensor => tf.sum(tf.tanh(tf.matMul(tf.relu(tf.matMul(x, w)), w)));
      const expected = referenceGradients(loss, [w]);
      await withGraph(async (graph) => {
        const l = loss();
        await setImmediate();
        outside(() => tf.tidy(() => w.assign(tf.mul(w, 7))));
        backward(graph, [l]);
        expect(worstDifference(graph.gradients, expected)).toBe(0);
      });
      tf.dispose([w, x, ...expected.values()]);
    }));

  test('retainGraph lets a graph be passed again, and gradients add up', () =>
    expectNoLeak(async () => {
      const w = tf.tidy(() => tf.variable(tf.ones([2])));
      await withGraph((graph) => {
        const loss = tf.sum(tf.square(w));
        backward(graph, [loss], true);
        expect([...(graph.gradients.get(w)?.dataSync() ?? [])]).toEqual([2, 2]);
        backward(graph, [loss]);
        expect([...(graph.gradients.get(w)?.dataSync() ?? [])]).toEqual([4, 4]);
        expect(() => backward(graph, [loss])).toThrow(/^graph_freed/);
      });
      w.dispose();
    }));
});
