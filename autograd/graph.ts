/**
 * What one worker recorded in one autograd context: which operations, which tensors they belong to, and the gradients
 * of committed passes. Purely local: the distributed engine joins the graphs of several workers at their leaves and
 * roots. Knows nothing of calls.
 */
import { GradwireError } from '../errors.ts';
import {
  enterFrame,
  type Frame,
  frameSlot,
  type Recorder,
  TensorScope,
  tf,
} from '../tensor/index.ts';
import { copyOf, densified, sumOf } from './gradient-sums.ts';
import type { Gradient } from './leaves.ts';
import { Tape, VARIABLE, type Visited } from './tape.ts';

export interface GraphOptions {
  /**
   * Whether gradients are taken of gradients made by tf.grads inside (a gradient penalty). Costs a node for each saved
   * tensor. Default false.
   */
  readonly higherOrder?: boolean;
}

/** Records for a graph. */
class Recording extends Tape {
  readonly graph: Graph;

  constructor(graph: Graph, isHigherOrder: boolean) {
    super(isHigherOrder);
    this.graph = graph;
  }

  check(): void {
    this.graph.assertAlive();
  }
}

/** Records nothing, in a graph. One for each use, because tf.grads inside counts its depth here. */
class Silence implements Recorder {
  depth = 0;
  tape: Recorder['tape'] = null;
  readonly graph: Graph;

  constructor(graph: Graph) {
    this.graph = graph;
  }

  needsSave(): boolean {
    return true;
  }

  check(): void {
    this.graph.assertAlive();
  }
}

export class Graph {
  readonly id: string;
  /** Owns what is made in the graph where `run` names no other scope; freed at release. */
  readonly scope: TensorScope = new TensorScope('gradwire.context');
  /** Accumulated over committed passes. The graph owns them and frees them at release. */
  readonly accumulated: Map<tf.Variable | tf.Tensor, Gradient> = new Map();
  /** Sparse ones as somebody asked for them: whole. */
  readonly #whole = new Map<tf.Variable | tf.Tensor, tf.Tensor>();
  /** For passes alone. */
  readonly tape: Tape;
  readonly isHigherOrder: boolean;
  #isReleased = false;

  constructor(id: string, options: GraphOptions = {}) {
    this.id = id;
    this.isHigherOrder = options.higherOrder ?? false;
    this.tape = new Recording(this, this.isHigherOrder);
  }

  /** The graph of the current flow, recording or not; a released one too, as long as code runs in it. */
  static current(): Graph | undefined {
    const recorder = frameSlot.get()?.recorder;
    if (recorder instanceof Recording || recorder instanceof Silence) return recorder.graph;
    return undefined;
  }

  get isReleased(): boolean {
    return this.#isReleased;
  }

  /** @throws GradwireError `context_released` */
  assertAlive(): void {
    if (!this.#isReleased) return;
    throw new GradwireError(
      'context_released',
      `the autograd context ${this.id} is over; await all work that is started in a context before its end`,
    );
  }

  /**
   * Runs `fn`: what it and all it starts compute is recorded, and tensors made outside any tidy belong to `scope`, by
   * default to the graph.
   *
   * @throws GradwireError `context_released`, also from each operation that still runs in it after release
   */
  run<R>(fn: () => R, scope: TensorScope = this.scope): R {
    this.assertAlive();
    return enterFrame({ scope: scope.state, recorder: this.tape }, fn);
  }

  /** Runs `fn` in this graph without recording; tensors belong to the scope that surrounds, else to the graph. */
  noGrad<R>(fn: () => R): R {
    const scope = frameSlot.get()?.scope ?? this.scope.state;
    return enterFrame({ scope, recorder: new Silence(this) }, fn);
  }

  /** A frame of this graph that records nothing and owns nothing beyond the graph's scope. */
  silentFrame(): Frame {
    return { scope: this.scope.state, recorder: new Silence(this) };
  }

  /**
   * Marks a float32 tensor that came from elsewhere: gradients are wanted for it.
   *
   * @throws GradwireError `no_gradient` for another dtype; `invalid_argument` for a Variable or for a tensor that an
   *   operation recorded here made
   */
  leaf(t: tf.Tensor): void {
    this.assertAlive();
    if (t.dtype !== 'float32') {
      throw new GradwireError(
        'no_gradient',
        `a ${t.dtype} tensor has no gradient, only float32 has`,
      );
    }
    const origin = t instanceof tf.Variable ? 0 : this.tape.origin(t);
    if (origin !== undefined && origin >= 0) {
      throw new GradwireError(
        'invalid_argument',
        'a Variable or the result of a recorded operation cannot be marked as received',
      );
    }
    this.tape.markLeaf(t);
  }

  /** Whether a gradient can flow into `t`: a trainable Variable, a marked leaf, or a float32 result that depends on one. */
  requiresGrad(t: tf.Tensor): boolean {
    return this.tape.origin(t) !== undefined;
  }

  /** Whether no operation recorded here made `t`, and it was not received. */
  isLeafOrUnknown(t: tf.Tensor): boolean {
    const origin = this.tape.knownOrigin(t);
    return origin === undefined || origin === VARIABLE;
  }

  /**
   * Mark phase: the marked leaves (not Variables) that `roots` depend on and that were not visited before. A root that
   * is a leaf is reached; a root that depends on nothing reaches nothing.
   *
   * @param visited one per pass over this graph; all calls with it take linear time together
   */
  reachableLeaves(roots: readonly tf.Tensor[], visited: Visited): tf.Tensor[] {
    this.assertAlive();
    return this.tape.reachableLeaves(roots, visited);
  }

  /** Adds `gradient` to what is accumulated for `of`; takes ownership of it. */
  accumulate(of: tf.Variable | tf.Tensor, gradient: Gradient): void {
    if (this.#isReleased) gradient.dispose();
    this.assertAlive();
    this.#whole.get(of)?.dispose();
    this.#whole.delete(of);
    const sum = this.accumulated.get(of) ?? null;
    this.accumulated.delete(of);
    const next = enterFrame(this.silentFrame(), () => sumOf(sum, gradient));
    this.accumulated.set(of, next);
  }

  /** What is accumulated, all of it dense. */
  get gradients(): Map<tf.Variable | tf.Tensor, tf.Tensor> {
    const dense = new Map<tf.Variable | tf.Tensor, tf.Tensor>();
    for (const [of, gradient] of this.accumulated) dense.set(of, this.#wholeOf(of, gradient));
    return dense;
  }

  /** Frees saved tensors, gradients and what the graph's scope owns; idempotent. Dispose open passes yourself. */
  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.tape.close();
    for (const gradient of this.accumulated.values()) gradient.dispose();
    for (const gradient of this.#whole.values()) gradient.dispose();
    this.accumulated.clear();
    this.#whole.clear();
    this.scope.dispose();
  }

  #wholeOf(of: tf.Variable | tf.Tensor, gradient: Gradient): tf.Tensor {
    const known = gradient instanceof tf.Tensor ? gradient : this.#whole.get(of);
    if (known !== undefined) return known;
    const whole = enterFrame(this.silentFrame(), () => densified(copyOf(gradient)));
    this.#whole.set(of, whole);
    return whole;
  }
}

/**
 * Runs `fn` without recording what it and all it starts compute; outside any graph it just runs it.
 * PyTorch: torch.no_grad.
 */
export function noGrad<R>(fn: () => R): R {
  const graph = Graph.current();
  return graph === undefined ? fn() : graph.noGrad(fn);
}
