import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import { setImmediate } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { Graph, noGrad } from '../../autograd/graph.ts';
import { Visited } from '../../autograd/tape.ts';
import { outside, TensorScope, tf } from '../../tensor/index.ts';
import { backward, referenceGradients, withGraph, worstDifference } from '../support/gradients.ts';
import { expectNoLeak } from '../support/leaks.ts';
import { convNet, denseNet, lossAcrossAwaits, lossOf, type Net } from '../support/nets.ts';
import { randomTensor, randomVariable } from '../support/numbers.ts';

const cases: [engine: string, name: string, make: (seed: number) => Net][] = [
  ['cpu', 'convNet', convNet],
  ['cpu', 'denseNet', denseNet],
  ['wasm', 'denseNet', denseNet],
];

describe.each(cases)('on %s, %s', (engine, _, make) => {
  beforeEach(async () => {
    await tf.setBackend(engine);
  });

  test('gradients are those of tf.variableGrads, at once or across awaits', () =>
    expectNoLeak(async () => {
      const net = make(1);
      const expected = referenceGradients(() => lossOf(net), net.variables);
      await withGraph((graph) => {
        backward(graph, [lossOf(net)]);
        expect(worstDifference(graph.gradients, expected)).toBe(0);
      });
      await withGraph(async (graph) => {
        const loss = await lossAcrossAwaits(net);
        await setImmediate();
        backward(graph, [loss]);
        expect(worstDifference(graph.gradients, expected)).toBe(0);
      });
      tf.dispose([...expected.values()]);
      net.dispose();
    }));

  test('eight contexts side by side do not mix', () =>
    expectNoLeak(async () => {
      const shared = make(50);
      const nets = Array.from({ length: 8 }, (_, i) => make(10 + 7 * i));
      const sharedExpected = referenceGradients(() => lossOf(shared), shared.variables);
      const expected = nets.map((net) => referenceGradients(() => lossOf(net), net.variables));
      const order: number[] = [];
      await Promise.all(
        nets.map((net, i) =>
          withGraph(async (graph) => {
            const loss = await lossAcrossAwaits(net, () => {
              order.push(i);
              expect(Graph.current()).toBe(graph);
            });
            const sharedLoss = await lossAcrossAwaits(shared);
            backward(graph, [loss]);
            await setImmediate();
            backward(graph, [sharedLoss]);
            expect(worstDifference(graph.gradients, expected[i] ?? new Map())).toBe(0);
            expect(worstDifference(graph.gradients, sharedExpected)).toBe(0);
            expect(graph.gradients.size).toBe(net.variables.length + shared.variables.length);
          }, `context ${i}`),
        ),
      );
      const switches = order.filter((i, at) => at > 0 && i !== order[at - 1]).length;
      expect(switches).toBeGreaterThan(order.length * 0.9);
      for (const net of [shared, ...nets]) net.dispose();
      for (const map of [sharedExpected, ...expected]) tf.dispose([...map.values()]);
    }));
});

describe.each(['cpu', 'wasm'])('on %s', (engine) => {
  beforeEach(async () => {
    await tf.setBackend(engine);
  });

  test('a thousand short contexts, fifty at a time', () =>
    expectNoLeak(async () => {
      const w = randomVariable([8, 8], 1) as unknown as tf.Tensor2D & tf.Variable;
      const x = randomTensor([4, 8], 2) as tf.Tensor2D;
      const expected = referenceGradients(() => tf.sum(tf.tanh(tf.matMul(x, w))), [w]);
      let worst = 0;
      for (let round = 0; round < 20; round++) {
        const contexts = Array.from({ length: 50 }, () =>
          withGraph(async (graph) => {
            const h = tf.matMul(x, w);
            await setImmediate();
            const a = tf.tanh(h);
            await Promise.resolve();
            const loss = tf.sum(a);
            await setImmediate();
            backward(graph, [loss]);
            worst = Math.max(worst, worstDifference(graph.gradients, expected));
          }),
        );
        await Promise.all(contexts);
      }
      expect(worst).toBe(0);
      tf.dispose([w, x, ...expected.values()]);
    }));

  test('records only what a gradient can flow through, and saves nothing else', () =>
    expectNoLeak(async () => {
      const w = randomVariable([4, 4], 1) as unknown as tf.Tensor2D & tf.Variable;
      const frozen = tf.tidy(() => tf.variable(tf.ones([4, 4]), false));
      const counter = tf.tidy(() => tf.variable(tf.zeros([1], 'int32')));
      const x = randomTensor([4, 4], 2) as tf.Tensor2D;
      await withGraph((graph) => {
        const before = tf.memory().numTensors;
        const constant = tf.tidy(() => tf.exp(tf.matMul(x, tf.mul(x, frozen))));
        expect(tf.memory().numTensors).toBe(before + 1);
        expect(graph.tape.length).toBe(0);
        expect([constant, frozen, counter].map((t) => graph.requiresGrad(t))).toEqual([
          false,
          false,
          false,
        ]);
        const labels = tf.argMax(tf.matMul(x, w), 1);
        expect([graph.tape.length, graph.requiresGrad(labels)]).toEqual([1, false]);
        const silent = noGrad(() => tf.matMul(x, w));
        expect([graph.tape.length, graph.requiresGrad(silent)]).toEqual([1, false]);
        expect(graph.requiresGrad(tf.add(constant, w))).toBe(true);
      });
      tf.dispose([w, frozen, counter, x]);
    }));

  test('leaf: received tensors want gradients', () =>
    expectNoLeak(async () => {
      const x = tf.tensor1d([1, 2]);
      const labels = tf.tensor1d([1, 2], 'int32');
      const w = tf.tidy(() => tf.variable(tf.scalar(2)));
      await withGraph((graph) => {
        expect(graph.requiresGrad(tf.neg(x))).toBe(false);
        graph.leaf(x);
        graph.leaf(x);
        const y = tf.mul(x, w);
        expect([x, y].map((t) => graph.requiresGrad(t))).toEqual([true, true]);
        expect(() => graph.leaf(labels)).toThrow(/^no_gradient: a int32/);
        expect(() => graph.leaf(y)).toThrow(/^invalid_argument/);
        expect(() => graph.leaf(w)).toThrow(/^invalid_argument/);
        backward(graph, [tf.sum(y)]);
        expect([...(graph.gradients.get(x)?.dataSync() ?? [])]).toEqual([2, 2]);
        expect([...(graph.gradients.get(w)?.dataSync() ?? [])]).toEqual([3]);
      });
      tf.dispose([x, labels, w]);
    }));

  test('reachableLeaves marks each leaf once in a pass', () =>
    expectNoLeak(async () => {
      const [a, b, c] = [tf.scalar(1), tf.scalar(2), tf.scalar(3)];
      const w = tf.tidy(() => tf.variable(tf.scalar(4)));
      await withGraph((graph) => {
        for (const t of [a, b, c]) graph.leaf(t);
        const ab = tf.mul(a, b);
        const abw = tf.mul(tf.tanh(ab), w);
        const cc = tf.mul(c, c);
        const visited = new Visited();
        expect(new Set(graph.reachableLeaves([abw, abw], visited))).toEqual(new Set([a, b]));
        expect(graph.reachableLeaves([ab, tf.mul(ab, cc)], visited)).toEqual([c]);
        expect(graph.reachableLeaves([a, cc], visited)).toEqual([]);
        expect(graph.reachableLeaves([a, w, tf.scalar(1)], new Visited())).toEqual([a]);
      });
      tf.dispose([a, b, c, w]);
    }));

  test('run puts tensors into the scope it is given', () =>
    expectNoLeak(() => {
      const graph = new Graph('g');
      const scope = new TensorScope();
      const w = tf.tidy(() => tf.variable(tf.scalar(2)));
      const y = graph.run(() => {
        const kept = tf.square(w);
        const inner = new TensorScope();
        inner.run(() => expect(graph.requiresGrad(tf.exp(kept))).toBe(true));
        inner.dispose();
        noGrad(() => tf.neg(kept));
        return kept;
      }, scope);
      expect([scope.size, graph.scope.size]).toEqual([2, 0]);
      graph.noGrad(() => tf.neg(y));
      expect(graph.scope.size).toBe(1);
      scope.dispose();
      // Saved tensors are the graph's own: what the scope freed can be differentiated.
      backward(graph, [y]);
      expect(graph.gradients.get(w)?.dataSync()[0]).toBe(4);
      graph.release();
      w.dispose();
    }));

  test('contexts nest', () =>
    expectNoLeak(async () => {
      const w = tf.tidy(() => tf.variable(tf.ones([2])));
      await withGraph(async (outer) => {
        const a = tf.square(w);
        await withGraph(async (inner) => {
          expect(Graph.current()).toBe(inner);
          const b = tf.mul(w, 3);
          await setImmediate();
          backward(inner, [b]);
          expect(inner.gradients.get(w)?.dataSync()[0]).toBe(3);
        });
        expect([Graph.current(), outer.tape.length]).toEqual([outer, 1]);
        expect(outside(() => Graph.current())).toBeUndefined();
        expect(noGrad(() => Graph.current())).toBe(outer);
        backward(outer, [a]);
        expect(outer.gradients.get(w)?.dataSync()[0]).toBe(2);
      });
      expect(Graph.current()).toBeUndefined();
      expect(noGrad(() => 7)).toBe(7);
      w.dispose();
    }));
});
