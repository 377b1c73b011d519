import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, expect, test } from '@jest/globals';
import { Graph } from '../../autograd/graph.ts';
import { Pass } from '../../autograd/pass.ts';
import { tf } from '../../tensor/index.ts';
import { withGraph } from '../support/gradients.ts';
import { expectNoLeak } from '../support/leaks.ts';

const options = { retainGraph: false, onLeaf: (): void => {} };

beforeAll(async () => {
  await tf.setBackend('cpu');
});

function scalarVariable(value: number): tf.Variable {
  return tf.tidy(() => tf.variable(tf.scalar(value)));
}

test('a root that depends on nothing is refused', () =>
  expectNoLeak(() =>
    withGraph((graph) => {
      expect(() => new Pass(graph, [tf.exp(tf.scalar(1))], options)).toThrow(
        /^no_gradient: a root/,
      );
    }),
  ));

test('an operation without gradient is named before anything runs', () =>
  expectNoLeak(async () => {
    const w = tf.tidy(() => tf.variable(tf.ones([1, 2, 2, 4])));
    await withGraph((graph) => {
      const y = tf.depthToSpace(w as unknown as tf.Tensor4D, 2);
      expect(() => new Pass(graph, [y], options)).toThrow(/^no_gradient: .*DepthToSpace/);
    });
    w.dispose();
  }));

test('a gradient of another shape or dtype is refused, and the pass goes on', () =>
  expectNoLeak(async () => {
    const w = tf.tidy(() => tf.variable(tf.ones([2])));
    const good = tf.tensor1d([1, 2]);
    const bad = [tf.scalar(1), tf.tensor1d([1, 2], 'int32'), tf.tensor1d([1, 2, 3])];
    await withGraph((graph) => {
      const y = tf.square(w);
      const pass = new Pass(graph, [y], options);
      for (const dy of bad)
        expect(() => pass.feed(y, dy)).toThrow(/^invalid_argument: the gradient/);
      tf.dispose(bad);
      for (const dy of bad) expect(() => pass.feed(y, dy)).toThrow(/^tensor_freed/);
      expect(() => pass.feed(w, good)).toThrow(/^invalid_argument: no/);
      expect(() => pass.commit()).toThrow(/^backward_failed/);
      pass.feed(y, good);
      pass.commit();
      expect([...(graph.gradients.get(w)?.dataSync() ?? [])]).toEqual([2, 4]);
    });
    tf.dispose([w, good]);
  }));

test('an error in a gradient function fails the pass and frees what it holds', () =>
  expectNoLeak(async () => {
    const [v, w] = [scalarVariable(1), scalarVariable(2)];
    const failing = tf.customGrad((t) => ({
      value: tf.neg(t as tf.Tensor),
      gradFunc: () => {
        throw new Error('mine');
      },
    }));
    await withGraph((graph) => {
      const [first, second] = [tf.mul(v, w), failing(tf.mul(v, 3))];
      const pass = new Pass(graph, [first, second], options);
      pass.feedOnes(first);
      expect(() => pass.feedOnes(second)).toThrow('mine');
      expect(() => pass.feedOnes(second)).toThrow('mine');
      expect(pass.isDone).toBe(false);
      expect(() => pass.commit()).toThrow(/^backward_failed/);
      expect(graph.gradients.size).toBe(0);
      pass.dispose();
    });
    tf.dispose([v, w]);
  }));

test('a gradient of the wrong shape names the operation', () =>
  expectNoLeak(async () => {
    const v = tf.tidy(() => tf.variable(tf.ones([2])));
    const wrong = tf.customGrad((t) => ({
      value: tf.neg(t as tf.Tensor),
      gradFunc: (dy: tf.Tensor) => tf.sum(dy),
    }));
    await withGraph((graph) => {
      const y = wrong(v);
      const pass = new Pass(graph, [y], options);
      expect(() => pass.feedOnes(y)).toThrow(/^no_gradient: .*is float32 \[\], not float32 \[2\]/);
    });
    v.dispose();
  }));

test('two passes over one graph: the second to run finds it freed', () =>
  expectNoLeak(async () => {
    const v = scalarVariable(3);
    await withGraph((graph) => {
      const y = tf.square(v);
      const passes = [new Pass(graph, [y], options), new Pass(graph, [y], options)];
      passes[0]?.feedOnes(y);
      expect(() => passes[1]?.feedOnes(y)).toThrow(/^graph_freed/);
      for (const pass of passes) pass.dispose();
    });
    v.dispose();
  }));

test('an uncommitted pass leaves nothing behind', () =>
  expectNoLeak(async () => {
    const v = scalarVariable(3);
    await withGraph((graph) => {
      const [y, z] = [tf.square(v), tf.exp(v)];
      const pass = new Pass(graph, [y, z], options);
      pass.feedOnes(y);
      pass.dispose();
      pass.dispose();
      expect(() => pass.feedOnes(z)).toThrow(/^backward_failed/);
      expect(graph.gradients.size).toBe(0);
    });
    v.dispose();
  }));

test('a pass outlived by its graph: release refuses further feeds, dispose frees the rest', () =>
  expectNoLeak(() => {
    const v = scalarVariable(3);
    const graph = new Graph('over');
    const [y, z] = graph.run(() => [tf.square(v), tf.exp(v)] as const);
    const pass = new Pass(graph, [y, z], options);
    pass.feedOnes(y);
    graph.release();
    expect(() => pass.feedOnes(z)).toThrow(/^context_released: the autograd context over is over/);
    expect(() => new Pass(graph, [y], options)).toThrow(/^context_released/);
    pass.dispose();
    v.dispose();
  }));

test('onLeaf may end the pass or the graph', () =>
  expectNoLeak(() => {
    for (const end of ['pass', 'graph', 'throw'] as const) {
      const [a, b] = [tf.scalar(1), tf.scalar(2)];
      const graph = new Graph(end);
      graph.leaf(a);
      graph.leaf(b);
      const y = graph.run(() => tf.mul(tf.exp(a), tf.exp(b)));
      const pass: Pass = new Pass(graph, [y, a], {
        retainGraph: false,
        onLeaf: (_, gradient) => {
          gradient?.dispose();
          if (end === 'pass') pass.dispose();
          if (end === 'graph') graph.release();
          if (end === 'throw') throw new Error('mine');
        },
      });
      pass.feedOnes(a);
      const feed = (): void => pass.feedOnes(y);
      if (end === 'pass') feed();
      else expect(feed).toThrow(end === 'throw' ? 'mine' : /^context_released/);
      pass.dispose();
      graph.release();
      tf.dispose([a, b]);
    }
  }));
