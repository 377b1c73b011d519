/**
 * What the tables of operations and layers are made of, and the numbers that go in. Pure: it knows tensors by type alone.
 * test/parity/gradients.py makes the same numbers by the same formulas.
 */
import type * as tf from '../tf.ts';

/** An operation as the tables write it. */
// biome-ignore lint/suspicious/noExplicitAny: each takes tensors of the ranks that its shapes have
export type Op = (...xs: any[]) => tf.Tensor | tf.Tensor[];

/** A layer of tf.layers, or a model of them: both are layers to tfjs. */
export type Layer = ReturnType<typeof tf.layers.dense>;

/** How a layer is called; the default is `layer.apply(x)`, of a list if there are several inputs. */
// biome-ignore lint/suspicious/noExplicitAny: as for Op
export type Call = (layer: Layer, ...xs: any[]) => tf.Tensor | tf.Tensor[];

export type Shapes = readonly (readonly number[])[];

/**
 * smooth: no two elements are equal or near 0, and the gradient is also compared with finite differences. ties: many
 * elements are equal or 0. whole: the elements are integers. forward: of results alone.
 */
export type Kind = 'smooth' | 'ties' | 'whole' | 'forward';

export interface Case {
  /** Unique; that of a layer is `layers.` and its name in tf.layers, then what is special. */
  readonly name: string;
  readonly kind: Kind;
  /** Of the inputs, once for each time that the operation is to be checked. The first is compared with PyTorch. */
  readonly shapes: readonly Shapes[];
  readonly op: Op;
  /** Makes the layer that `op` is then given first; its weights are inputs too, after all others. */
  readonly layer?: () => Layer;
  /** Why no gradient is compared, where none is. */
  readonly reason?: string;
}

export function smooth(name: string, op: Op, ...shapes: Shapes[]): Case {
  return { name, op, shapes, kind: 'smooth' };
}

export function ties(name: string, op: Op, ...shapes: Shapes[]): Case {
  return { name: `${name}, equal elements`, op, shapes, kind: 'ties' };
}

export function whole(name: string, op: Op, ...shapes: Shapes[]): Case {
  return {
    name: `${name} of integers`,
    op,
    shapes,
    kind: 'whole',
    reason: 'integers have no gradient',
  };
}

/** Of results alone: tfjs knows no gradient. */
export function underived(name: string, op: Op, ...shapes: Shapes[]): Case {
  return { name, op, shapes, kind: 'forward', reason: 'tfjs has no gradient for it' };
}

/** Of results alone: small steps of the inputs do not change them. */
export function constant(name: string, op: Op, ...shapes: Shapes[]): Case {
  return { name, op, shapes, kind: 'forward', reason: 'constant but for jumps' };
}

/** Of results alone: at the edge of where there are any. */
export function edge(name: string, op: Op, ...shapes: Shapes[]): Case {
  return { name, op, shapes, kind: 'forward', reason: 'no derivative there' };
}

/** A layer called with inputs of these shapes. */
export function layer(name: string, make: () => unknown, ...shapes: Shapes[]): Case {
  return called(name, make, (made, ...xs) => applied(made, xs), ...shapes);
}

/** A layer called as in training. */
export function training(name: string, make: () => unknown, ...shapes: Shapes[]): Case {
  return called(name, make, (made, ...xs) => applied(made, xs, { training: true }), ...shapes);
}

/** A layer called in a way of its own. */
export function called(name: string, make: () => unknown, call: Call, ...shapes: Shapes[]): Case {
  return { name: `layers.${name}`, op: call, shapes, kind: 'smooth', layer: make as () => Layer };
}

function applied(made: Layer, xs: tf.Tensor[], options: object = {}): tf.Tensor | tf.Tensor[] {
  const [x] = xs;
  const inputs = xs.length === 1 && x !== undefined ? x : xs;
  return made.apply(inputs, { ...options }) as tf.Tensor | tf.Tensor[];
}

/** Elements in (-2, 2), the same for the same shape and position among the inputs. */
export function elements(kind: Kind, size: number, position: number): Float32Array {
  if (kind === 'ties') return Float32Array.from({ length: size }, (_, i) => ((i * i) % 5) / 2 - 1);
  if (kind === 'whole') return Float32Array.from({ length: size }, (_, i) => ((i * 7) % 11) - 5);
  // A permutation of evenly spaced numbers, none of them 0.
  const factor = [7919, 7907, 7901, 7883, 7879][position] ?? 7877;
  const scale = 2 - 0.17 * position;
  return Float32Array.from(
    { length: size },
    (_, i) => (((i * factor + position) % size) + 0.37) * ((2 * scale) / size) - scale,
  );
}

/** Weights of a layer: smaller, so that nothing saturates, and above 0 where they are variances. */
export function weightElements(name: string, size: number, position: number): Float32Array {
  const values = elements('smooth', size, position % 5);
  return values.map((value) => (name.includes('variance') ? Math.abs(value) + 0.5 : value / 2));
}

/** What the elements of a result are multiplied with; the sum of all products is what gradients are of. */
export function factors(size: number): Float32Array {
  return Float32Array.from({ length: size }, (_, i) => Math.cos(1.3 * i + 0.5));
}
