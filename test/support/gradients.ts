/** Comparing what a graph computes with what tfjs computes by itself. */
import { expect } from '@jest/globals';
import { Graph } from '../../autograd/graph.ts';
import { Pass } from '../../autograd/pass.ts';
import { tf } from '../../tensor/index.ts';
import { relativeDifference } from './numbers.ts';

/** Runs `fn` in a graph of its own that is released at the end. */
export async function withGraph<R>(fn: (graph: Graph) => R | Promise<R>, id = 'test'): Promise<R> {
  const graph = new Graph(id);
  try {
    return await graph.run(() => fn(graph));
  } finally {
    graph.release();
  }
}

/** A whole pass from scalar losses, committed; marked leaves go to the graph's gradients too. */
export function backward(graph: Graph, losses: tf.Tensor[], retainGraph = false): void {
  const pass = new Pass(graph, losses, {
    retainGraph,
    onLeaf: (leaf, gradient) => gradient !== null && graph.accumulate(leaf, gradient),
  });
  try {
    for (const loss of losses) pass.feedOnes(loss);
    expect(pass.isDone).toBe(true);
    pass.commit();
  } finally {
    pass.dispose();
  }
}

/** Gradients by tf.variableGrads; the caller disposes them. */
export function referenceGradients(
  loss: () => tf.Tensor,
  variables: tf.Variable[],
): Map<tf.Variable, tf.Tensor> {
  const { value, grads } = tf.variableGrads(loss as () => tf.Scalar, variables);
  value.dispose();
  return new Map(
    variables.flatMap((v): [tf.Variable, tf.Tensor][] => {
      const gradient = grads[v.name];
      return gradient == null ? [] : [[v, gradient]];
    }),
  );
}

/** Largest relative difference over all gradients expected; infinite if one is missing. */
export function worstDifference(
  actual: ReadonlyMap<tf.Tensor, tf.Tensor>,
  expected: ReadonlyMap<tf.Tensor, tf.Tensor>,
): number {
  let worst = 0;
  for (const [of, gradient] of expected) {
    const mine = actual.get(of);
    worst = Math.max(worst, mine === undefined ? Infinity : relativeDifference(mine, gradient));
  }
  return worst;
}
