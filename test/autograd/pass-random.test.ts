import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import { beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Graph } from '../../autograd/graph.ts';
import { Pass } from '../../autograd/pass.ts';
import { Visited } from '../../autograd/tape.ts';
import { tf } from '../../tensor/index.ts';
import { referenceGradients, worstDifference } from '../support/gradients.ts';
import { expectNoLeak } from '../support/leaks.ts';
import { randomTensor, randomVariable } from '../support/numbers.ts';
import { runs } from '../support/runs.ts';

function refuseLeaf(): never {
  throw new Error('a leaf was handed over that nobody marked');
}

/** An operation on two earlier values, counted back from the newest, modulo their number. */
interface Step {
  readonly op: 'add' | 'mul' | 'tanh' | 'matMul';
  readonly left: number;
  readonly right: number;
}

interface Program {
  readonly variables: number;
  readonly steps: Step[];
  /** Which steps are roots, how they are weighted, and in which order they are fed: by seed. */
  readonly seed: number;
  readonly rootCount: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  op: fc.constantFrom('add', 'mul', 'tanh', 'matMul'),
  left: fc.nat(20),
  right: fc.nat(20),
});

const program: fc.Arbitrary<Program> = fc.record({
  variables: fc.integer({ min: 1, max: 3 }),
  steps: fc.array(step, { minLength: 1, maxLength: 14 }),
  seed: fc.nat(1_000_000),
  rootCount: fc.integer({ min: 1, max: 4 }),
});

/** One step; all values stay in [-1, 1]. */
function apply({ op, left, right }: Step, values: readonly tf.Tensor[]): tf.Tensor {
  const a = values[values.length - 1 - (left % values.length)] as tf.Tensor;
  const b = values[values.length - 1 - (right % values.length)] as tf.Tensor;
  switch (op) {
    case 'add':
      return tf.mul(tf.add(a, b), 0.5);
    case 'mul':
      return tf.mul(a, b);
    case 'tanh':
      return tf.tanh(a);
    case 'matMul':
      return tf.mul(tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D), 0.5);
  }
}

/** The inputs of a program (a constant and its variables), and one weight for each root. */
function inputsOf({ variables, seed, rootCount }: Program) {
  const constant = randomTensor([2, 2], seed);
  const vars = Array.from({ length: variables }, (_, i) => randomVariable([2, 2], seed + i + 1));
  const weights = Array.from({ length: rootCount }, (_, i) => randomTensor([2, 2], seed + i + 10));
  return { constant, vars, weights, all: [constant, ...vars, ...weights] };
}

/** Indices of the values that are roots; a value may be one several times. */
function rootsOf({ rootCount, seed, steps }: Program, first: number): number[] {
  return Array.from({ length: rootCount }, (_, i) => first + ((seed >> (3 * i)) % steps.length));
}

function shuffled<T>(items: readonly T[], seed: number): T[] {
  const order = items.map((item, i) => ({ item, key: Math.sin(seed + 17 * i) }));
  return order.sort((a, b) => a.key - b.key).map(({ item }) => item);
}

function evaluate(steps: readonly Step[], values: tf.Tensor[]): tf.Tensor[] {
  for (const s of steps) values.push(apply(s, values));
  return values;
}

/** Gradients of the weighted sum of roots by tf.variableGrads; empty if nothing depends on a variable. */
function expectedGradients(p: Program, { constant, vars, weights }: ReturnType<typeof inputsOf>) {
  const loss = (): tf.Tensor => {
    const values = evaluate(p.steps, [constant, ...vars]);
    const terms = rootsOf(p, 1 + vars.length).map((at, i) =>
      tf.sum(tf.mul(values[at] as tf.Tensor, weights[i] as tf.Tensor)),
    );
    return tf.addN(terms);
  };
  let found = new Map<tf.Variable, tf.Tensor>();
  try {
    // tfjs leaves the value behind when it refuses.
    tf.tidy(() => {
      found = referenceGradients(loss, vars);
      return [...found.values()];
    });
  } catch {
    return new Map<tf.Variable, tf.Tensor>();
  }
  return found;
}

describe.each(['cpu', 'wasm'])('on %s', (engine) => {
  beforeEach(async () => {
    await tf.setBackend(engine);
  });

  test('random programs, fed in random order, have the gradients of tf.variableGrads', () =>
    fc.assert(
      fc.asyncProperty(program, (p) =>
        expectNoLeak(() => {
          const inputs = inputsOf(p);
          const expected = expectedGradients(p, inputs);
          const graph = new Graph('random');
          const values = graph.run(() => evaluate(p.steps, [inputs.constant, ...inputs.vars]));
          const roots = rootsOf(p, 1 + inputs.vars.length)
            .map((at, i) => ({ root: values[at] as tf.Tensor, dy: inputs.weights[i] as tf.Tensor }))
            .filter(({ root }) => graph.requiresGrad(root));
          const pass = new Pass(
            graph,
            roots.map(({ root }) => root),
            { retainGraph: false, onLeaf: refuseLeaf },
          );
          for (const { root, dy } of shuffled(roots, p.seed)) pass.feed(root, dy);
          expect(pass.isDone).toBe(true);
          pass.commit();
          expect([...graph.gradients.keys()].every((v) => expected.has(v as tf.Variable))).toBe(
            true,
          );
          expect(worstDifference(graph.gradients, expected)).toBeLessThan(1e-4);
          graph.release();
          tf.dispose([...inputs.all, ...expected.values()]);
        }),
      ),
      runs(60),
    ));

  test('random programs cut in two graphs at a random place', () =>
    fc.assert(
      fc.asyncProperty(program, fc.nat(14), (p, cutSeed) =>
        expectNoLeak(() => {
          const inputs = inputsOf(p);
          const expected = expectedGradients(p, inputs);
          const cut = cutSeed % (p.steps.length + 1);
          const [a, b] = [new Graph('a'), new Graph('b')];
          const sent = a.run(() =>
            evaluate(p.steps.slice(0, cut), [inputs.constant, ...inputs.vars]),
          );
          const received = sent.map((t) => tf.tensor(t.dataSync(), t.shape));
          for (const [i, t] of received.entries()) {
            if (a.requiresGrad(sent[i] as tf.Tensor)) b.leaf(t);
          }
          const values = b.run(() => evaluate(p.steps.slice(cut), [...received]));
          const roots = rootsOf(p, 1 + inputs.vars.length)
            .map((at, i) => ({ root: values[at] as tf.Tensor, dy: inputs.weights[i] as tf.Tensor }))
            .filter(({ root }) => b.requiresGrad(root));
          const rootTensors = roots.map(({ root }) => root);

          // Mark, then flow: exactly the leaves that were marked get a gradient.
          const visited = new Visited();
          const marked = rootTensors.flatMap((root) => b.reachableLeaves([root], visited));
          const origins = marked.map((leaf) => sent[received.indexOf(leaf)] as tf.Tensor);
          const passA = new Pass(a, origins, { retainGraph: false, onLeaf: () => {} });
          const told: tf.Tensor[] = [];
          const passB = new Pass(b, rootTensors, {
            retainGraph: false,
            onLeaf: (leaf, gradient) => {
              told.push(leaf);
              passA.feed(sent[received.indexOf(leaf)] as tf.Tensor, gradient);
              gradient?.dispose();
            },
          });
          for (const { root, dy } of shuffled(roots, p.seed)) passB.feed(root, dy);
          expect([passA.isDone, passB.isDone]).toEqual([true, true]);
          expect(told).toHaveLength(marked.length);
          expect(new Set(told)).toEqual(new Set(marked));
          passA.commit();
          expect(worstDifference(a.gradients, expected)).toBeLessThan(1e-4);
          a.release();
          b.release();
          tf.dispose([...inputs.all, ...received, ...expected.values()]);
        }),
      ),
      runs(60),
    ));
});
