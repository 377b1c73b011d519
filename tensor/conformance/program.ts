/**
 * A case made ready to run on the current engine: its inputs, the weights of its layer among them, can be set at will, as
 * finite differences need. It knows nothing of gradients.
 */
import * as tf from '../tf.ts';
import { type Case, elements, type Shapes, weightElements } from './case.ts';

type Outputs = readonly tf.Tensor[];

/** Free it with `close`. All else makes tensors, and so runs in a `tf.tidy` of the caller's. */
export interface Program {
  /** The numbers of all inputs in order, then those of all weights. */
  readonly data: readonly Float32Array[];
  /** Sets all inputs and weights, and returns those that gradients can be asked for. */
  set(data: readonly Float32Array[]): { readonly xs: tf.Tensor[]; readonly wrt: tf.Tensor[] };
  /** The results for inputs that `set` returned; the same for the same, also where they are random. */
  run(xs: readonly tf.Tensor[]): Outputs;
  close(): void;
}

/** What is at which place in `data` comes first for gradients: inputs, then weights that are trained, then others. */
export function open({ op, kind, layer: make }: Case, shapes: Shapes): Program {
  const dtype = kind === 'whole' ? 'int32' : 'float32';
  const inputs = shapes.map((shape, i) => elements(kind, tf.util.sizeFromShape([...shape]), i));
  const tensorsOf = (data: readonly Float32Array[]): tf.Tensor[] =>
    shapes.map((shape, i) => tf.tensor((data[i] as Float32Array).slice(), [...shape], dtype));
  const layer = make?.();
  if (layer === undefined) {
    return {
      data: inputs,
      set: (data) => {
        const xs = tensorsOf(data);
        return { xs, wrt: xs };
      },
      run: (xs) => repeatably(() => [op(...xs)].flat()),
      close: () => undefined,
    };
  }
  // The first call builds the layer: it makes the weights.
  tf.tidy(() => void repeatably(() => op(layer, ...tensorsOf(inputs))));
  const trained = layer.trainableWeights;
  const weights = [...trained, ...layer.nonTrainableWeights];
  const values = weights.map(({ name, shape }, i) =>
    weightElements(name, tf.util.sizeFromShape(shape as number[]), shapes.length + i),
  );
  return {
    data: [...inputs, ...values],
    set: (data) => {
      const xs = tensorsOf(data);
      for (const [i, weight] of weights.entries()) {
        const value = data[shapes.length + i] as Float32Array;
        (weight.read() as tf.Variable).assign(tf.tensor(value.slice(), weight.shape as number[]));
      }
      return { xs, wrt: [...xs, ...trained.map((weight) => weight.read())] };
    },
    run: (xs) => repeatably(() => [op(layer, ...xs)].flat()),
    close: () => {
      for (const weight of weights) weight.dispose();
    },
  };
}

/** Runs `fn` with random numbers that are the same each time: layers of noise take no seed. */
function repeatably<R>(fn: () => R): R {
  const { random } = Math;
  let state = 1;
  Math.random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  try {
    return fn();
  } finally {
    Math.random = random;
  }
}
