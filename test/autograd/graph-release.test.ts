import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import { setImmediate } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { Graph, noGrad } from '../../autograd/graph.ts';
import { tf } from '../../tensor/index.ts';
import { backward, withGraph } from '../support/gradients.ts';
import { expectNoLeak } from '../support/leaks.ts';

describe.each(['cpu', 'wasm'])('on %s', (engine) => {
  beforeEach(async () => {
    await tf.setBackend(engine);
  });

  test('release frees all that the graph owns, but not what is kept', () =>
    expectNoLeak(async () => {
      const w = tf.tidy(() => tf.variable(tf.ones([3])));
      const graph = new Graph('g');
      const [freed, kept, given] = graph.run(() => {
        const loss = tf.sum(tf.square(w));
        backward(graph, [loss]);
        const result = tf.neg(loss);
        graph.scope.release(result);
        return [loss, tf.keep(tf.tanh(w)), result] as const;
      });
      graph.release();
      graph.release();
      expect([freed, kept, given].map((t) => t.isDisposed)).toEqual([true, false, false]);
      expect([graph.isReleased, graph.gradients.size]).toEqual([true, 0]);
      tf.dispose([kept, given, w]);
    }));

  test('operations of code that still runs in a released graph are refused', () =>
    expectNoLeak(async () => {
      const w = tf.tidy(() => tf.variable(tf.ones([3])));
      const matrix = tf.ones<tf.Rank.R2>([1, 1]);
      const graph = new Graph('gone');
      const state = tf.engine().state;
      const late = graph.run(async () => {
        await setImmediate();
        expect(Graph.current()).toBe(graph);
        const message = /^context_released: the autograd context gone is over; await all work/;
        expect(() => tf.square(w)).toThrow(message);
        expect(() => tf.tidy(() => tf.square(w))).toThrow(message);
        expect(() => tf.grad((t) => tf.square(t))(w)).toThrow(message);
        expect(() => noGrad(() => tf.square(w))).toThrow(message);
        expect(() => tf.fused.matMul({ a: matrix, b: matrix })).toThrow(message);
        // Making, reading and freeing tensors is not refused: it is what remains to be done.
        const plain = tf.tensor1d([1, 2]);
        expect([...(await plain.data())]).toEqual([1, 2]);
        plain.dispose();
      });
      graph.run(() => tf.square(w));
      graph.release();
      const before = tf.memory().numTensors;
      await late;
      expect([state.kernelDepth, state.gradientDepth, state.scopeStack.length]).toEqual([0, 0, 0]);
      expect(() => graph.run(() => 1)).toThrow(/^context_released/);
      expect(() => graph.leaf(w)).toThrow(/^context_released/);
      expect(() => graph.accumulate(w, tf.ones([3]))).toThrow(/^context_released/);
      expect(tf.memory().numTensors).toBe(before);
      tf.square(w).dispose();
      tf.dispose([w, matrix]);
    }));

  test('a throwing context leaks nothing', () =>
    expectNoLeak(async () => {
      const w = tf.tidy(() => tf.variable(tf.ones([3])));
      const failing = withGraph(async () => {
        tf.square(w);
        await setImmediate();
        tf.tidy(() => {
          tf.exp(w);
          throw new Error('mine');
        });
      });
      await expect(failing).rejects.toThrow('mine');
      w.dispose();
    }));

  test('errors inside operations leave the engine in order', () =>
    expectNoLeak(async () => {
      const w = tf.tidy(() => tf.variable(tf.ones([2])));
      await withGraph((graph) => {
        expect(() => tf.matMul(w as unknown as tf.Tensor2D, w as unknown as tf.Tensor2D)).toThrow();
        const { state } = tf.engine();
        expect([state.kernelDepth, state.gradientDepth, state.scopeStack.length]).toEqual([
          0, 1, 0,
        ]);
        backward(graph, [tf.sum(tf.square(w))]);
        expect([...(graph.gradients.get(w)?.dataSync() ?? [])]).toEqual([2, 2]);
      });
      w.dispose();
    }));
});

test('forward on one engine, backward on another', async () => {
  await tf.setBackend('wasm');
  await expectNoLeak(async () => {
    const w = tf.tidy(() => tf.variable(tf.tensor1d([1, 2])));
    await withGraph(async (graph) => {
      const loss = tf.sum(tf.square(w));
      await tf.setBackend('cpu');
      backward(graph, [loss]);
      expect([...(graph.gradients.get(w)?.dataSync() ?? [])]).toEqual([2, 4]);
    });
    w.dispose();
  });
});

test('after engine().reset() the next graph records as before', async () => {
  await tf.setBackend('cpu');
  await withGraph(() => tf.scalar(1));
  tf.engine().reset();
  await tf.setBackend('cpu');
  await expectNoLeak(async () => {
    const w = tf.tidy(() => tf.variable(tf.ones([2])));
    await withGraph((graph) => {
      backward(graph, [tf.sum(tf.square(w))]);
      expect([...(graph.gradients.get(w)?.dataSync() ?? [])]).toEqual([2, 2]);
    });
    w.dispose();
  });
});
