/**
 * One backward pass over one graph, fed in pieces as gradients arrive. Purely local: whoever makes the pass knows which
 * roots will get a gradient, and sends on what `onLeaf` hands over.
 *
 * 1. From all roots at once, count for each tensor the gradients it will get, and for each node its awaited outputs.
 * 2. `feed` brings one gradient. A tensor whose last gradient came is settled: a leaf is handed over, a Variable waits
 *    for `commit`, any other tensor is one thing less that its node waits for.
 * 3. A node that waits for nothing runs, each once, the one recorded last first; its results settle further tensors.
 *
 * Each gradient has one owner: the slot of its tensor, until it is used up or handed over.
 */
import { GradwireError } from '../errors.ts';
import { enterFrame, type Frame, frameSlot, tf } from '../tensor/index.ts';
import { assertFits, copyOf, densified, sumOf } from './gradient-sums.ts';
import type { Graph } from './graph.ts';
import { afterHooks, type Gradient, hasHooks, isSparse, runPostHooks } from './leaves.ts';
import { MaxHeap } from './max-heap.ts';
import { assertNumbers, gradientsOf } from './node-gradients.ts';
import { LEAF, type Tape, VARIABLE } from './tape.ts';

export interface PassOptions {
  /** Keeps saved tensors, so that the graph can be passed again. */
  readonly retainGraph: boolean;
  /**
   * Called once for every marked leaf that the roots reach, when its gradient is complete; null if none came. The
   * callee owns the gradient. Called synchronously from `feed`, in the frame of whoever feeds.
   */
  readonly onLeaf: (leaf: tf.Tensor, gradient: Gradient | null) => void;
  /** Refuses a gradient that is not a number, naming the operation that made it. Default: false. */
  readonly detectAnomaly?: boolean;
}

/** Gradients of one tensor: how many are still to come, and the sum so far (kept, owned by the pass). */
interface Slot {
  readonly tensor: tf.Tensor;
  readonly origin: number;
  owed: number;
  gradient: Gradient | null;
}

export class Pass {
  readonly #graph: Graph;
  readonly #tape: Tape;
  readonly #options: PassOptions;
  readonly #frame: Frame;
  readonly #slots: Map<number, Slot> = new Map();
  /** By root: how many times it is still to be fed. */
  readonly #unfed: Map<number, number> = new Map();
  /** By node: how many of its outputs are not settled yet. */
  readonly #waits: Map<number, number> = new Map();
  readonly #ready: MaxHeap = new MaxHeap();
  #unsettled = 0;
  #failure: unknown;
  #isDisposed = false;

  /**
   * @param roots one entry per gradient that will be fed; a tensor may stand several times, and may be a leaf or a
   *   Variable itself
   * @throws GradwireError `no_gradient` if a root depends on nothing that wants a gradient, or depends on it through an
   *   operation without one; `graph_freed`; `context_released`
   */
  constructor(graph: Graph, roots: readonly tf.Tensor[], options: PassOptions) {
    graph.assertAlive();
    this.#graph = graph;
    this.#tape = graph.tape;
    this.#options = options;
    this.#frame = graph.silentFrame();
    const unexplored: number[] = [];
    for (const root of roots) {
      this.#expect(root, unexplored);
      this.#unfed.set(root.id, (this.#unfed.get(root.id) ?? 0) + 1);
    }
    for (let index = unexplored.pop(); index !== undefined; index = unexplored.pop()) {
      const node = this.#tape.node(index);
      this.#tape.assertRunnable(index);
      for (const [, input] of this.#tape.wantedInputs(node)) this.#expect(input, unexplored);
    }
  }

  /** Whether all gradients have come and every reached node has run. */
  get isDone(): boolean {
    return this.#unsettled === 0 && !this.#isDisposed;
  }

  /** Whether a Variable has got one. */
  get hasGradients(): boolean {
    return [...this.#slots.values()].some(
      (slot) => slot.origin === VARIABLE && slot.gradient !== null,
    );
  }

  /**
   * Brings one gradient of `root`, float32 of its shape, or null if none will come. The caller keeps `dy`. Runs all
   * nodes that this makes ready before it returns.
   *
   * @throws GradwireError `invalid_argument` for another shape or dtype or a root that is not awaited: the pass goes
   *   on; `no_gradient`, `graph_freed`, `context_released` or an error of a gradient function: the pass is disposed
   */
  feed(root: tf.Tensor, dy: Gradient | 'ones' | null): void {
    this.bring(root, dy);
    this.proceed(Number.POSITIVE_INFINITY);
  }

  /** Like `feed` with ones: for the losses that a pass starts from. */
  feedOnes(root: tf.Tensor): void {
    this.feed(root, 'ones');
  }

  /** Like `feed`, but runs nothing. */
  bring(root: tf.Tensor, dy: Gradient | 'ones' | null): void {
    this.#assertAwaited(root);
    if (dy !== null && dy !== 'ones') assertFits(root, dy);
    this.#guarded((feeder) => {
      this.#unfed.set(root.id, (this.#unfed.get(root.id) ?? 0) - 1);
      const made = dy === 'ones' ? tf.tidy(() => tf.keep(tf.ones(root.shape))) : dy && copyOf(dy);
      this.#arrive(root, made, feeder);
    });
  }

  /**
   * Runs nodes that are ready, at least one, until none is or `budgetMs` are over. Throws as `feed` does.
   *
   * @returns whether some are left
   */
  proceed(budgetMs: number): boolean {
    if (this.#ready.size === 0) return false;
    const end = performance.now() + budgetMs;
    this.#guarded((feeder) => {
      for (let index = this.#ready.pop(); index !== undefined; index = this.#ready.pop()) {
        this.#runNode(index, feeder);
        if (performance.now() >= end) return;
      }
    });
    return this.#ready.size > 0;
  }

  /**
   * Adds the gradients of Variables to `graph.gradients`; until then nothing of the pass is visible there.
   *
   * @throws GradwireError `backward_failed` if the pass is not complete or was disposed
   */
  commit(): void {
    if (!this.isDone) {
      throw new GradwireError('backward_failed', 'a pass that is not complete cannot be committed');
    }
    this.#graph.assertAlive();
    const reached: tf.Tensor[] = [];
    for (const slot of this.#slots.values()) {
      const gradient = take(slot);
      if (gradient === null) continue;
      this.#graph.accumulate(slot.tensor, gradient);
      reached.push(slot.tensor);
    }
    enterFrame(this.#frame, () => {
      for (const tensor of reached) runPostHooks(tensor, this.#graph.id);
    });
  }

  /** Frees everything that was neither handed over nor committed; idempotent. */
  dispose(): void {
    this.#isDisposed = true;
    this.#ready.clear();
    for (const slot of this.#slots.values()) take(slot)?.dispose();
    this.#slots.clear();
  }

  /** One more gradient of `t` will come; a node seen for the first time goes to `unexplored`. */
  #expect(t: tf.Tensor, unexplored: number[]): void {
    const known = this.#slots.get(t.id);
    if (known !== undefined) {
      known.owed++;
      return;
    }
    const origin = this.#tape.origin(t);
    if (origin === undefined) {
      throw new GradwireError(
        'no_gradient',
        'a root of backward depends on no trainable Variable and no received tensor of its context',
      );
    }
    this.#slots.set(t.id, { tensor: t, origin, owed: 1, gradient: null });
    this.#unsettled++;
    if (origin < 0) return;
    const outputs = this.#waits.get(origin) ?? 0;
    if (outputs === 0) unexplored.push(origin);
    this.#waits.set(origin, outputs + 1);
  }

  #assertAwaited(root: tf.Tensor): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#isDisposed) throw new GradwireError('backward_failed', 'the pass was disposed');
    this.#graph.assertAlive();
    if ((this.#unfed.get(root.id) ?? 0) > 0) return;
    throw new GradwireError('invalid_argument', 'no (further) gradient is awaited for this tensor');
  }

  /** Runs a part of the pass where nothing is recorded; what it throws ends the pass. */
  #guarded(work: (feeder: Frame | undefined) => void): void {
    const feeder = frameSlot.get();
    try {
      enterFrame(this.#frame, () => work(feeder));
    } catch (error) {
      this.#failure = error;
      this.dispose();
      throw error;
    }
  }

  /** Takes ownership of `gradient`. */
  #arrive(t: tf.Tensor, gradient: Gradient | null, feeder: Frame | undefined): void {
    const slot = this.#slots.get(t.id);
    if (slot === undefined) {
      // `onLeaf` disposed the pass while a node's results were being handed out.
      gradient?.dispose();
      return;
    }
    if (gradient !== null) {
      const fitting = this.#mayBeSparse(slot) ? gradient : densified(gradient);
      slot.gradient = sumOf(take(slot), fitting);
    }
    slot.owed--;
    if (slot.owed > 0) return;
    this.#unsettled--;
    if (slot.origin === LEAF) {
      const complete = take(slot);
      frameSlot.run(feeder, () => this.#options.onLeaf(t, complete));
    } else if (slot.origin === VARIABLE) {
      if (slot.gradient !== null && hasHooks(t)) {
        slot.gradient = afterHooks(t, densified(take(slot) as Gradient));
      }
    } else {
      const outputs = (this.#waits.get(slot.origin) ?? 0) - 1;
      this.#waits.set(slot.origin, outputs);
      if (outputs === 0) this.#ready.push(slot.origin);
    }
  }

  /** What was received may be sparse where it came from, which decides. */
  #mayBeSparse({ tensor, origin }: Slot): boolean {
    return origin === LEAF || (origin === VARIABLE && isSparse(tensor));
  }

  #runNode(index: number, feeder: Frame | undefined): void {
    this.#graph.assertAlive();
    const node = this.#tape.node(index);
    const wanted = this.#tape.wantedInputs(node);
    const dxs: (Gradient | null)[] = this.#differentiate(index, wanted);
    if (!this.#options.retainGraph) this.#tape.free(index);
    try {
      for (const [i, [, input]] of wanted.entries()) {
        const dx = dxs[i] ?? null;
        dxs[i] = null;
        this.#arrive(input, dx, feeder);
      }
    } finally {
      for (const dx of dxs) dx?.dispose();
    }
  }

  /** Gradients (kept, each owned once) of the wanted inputs of a node; none if none came for its outputs. */
  #differentiate(index: number, wanted: [name: string, input: tf.Tensor][]): Gradient[] {
    const node = this.#tape.node(index);
    const dys = node.outputs.map((output) => {
      const slot = this.#slots.get(output.id);
      return slot === undefined ? null : (take(slot) as tf.Tensor | null);
    });
    try {
      if (dys.every((dy) => dy === null)) return [];
      // Another pass over the same graph may have freed it since this one began.
      this.#tape.assertRunnable(index);
      const inputs = wanted.map(([name, input]) => {
        const slot = this.#slots.get(input.id);
        return { name, input, isSparse: slot !== undefined && this.#mayBeSparse(slot) };
      });
      const dxs: Gradient[] = [];
      tf.tidy(() => {
        dxs.push(...gradientsOf(node, dys, inputs));
      });
      if (this.#options.detectAnomaly === true) assertNumbers(node, inputs, dxs);
      return dxs;
    } finally {
      for (const dy of dys) dy?.dispose();
    }
  }
}

function take(slot: Slot): Gradient | null {
  const { gradient } = slot;
  slot.gradient = null;
  return gradient;
}
