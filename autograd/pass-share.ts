/**
 * One worker's share of a distributed backward pass: what it was told will get a gradient, and what it owes to others.
 * Local: messages go through functions that it is given.
 */
import { GradwireError } from '../errors.ts';
import type { tf } from '../tensor/index.ts';
import { assertValues, brokenOf } from './anomaly.ts';
import type { Graph } from './graph.ts';
import type { Gradient } from './leaves.ts';
import { Pass } from './pass.ts';
import { Visited } from './tape.ts';

export interface PassStart {
  readonly id: string;
  /** Rank of the worker that called `backward`. */
  readonly initiator: number;
  readonly retainGraph: boolean;
  /** How long the pass may take in all, in ms. */
  readonly timeoutMs: number;
  /** Whether every worker looks for the first NaN. */
  readonly detectAnomaly: boolean;
}

/** Tensors of one received message that the sender was told will get a gradient, together, under a name. */
export interface Debt {
  readonly mark: string;
  /** Rank of the sender. */
  readonly peer: number;
  readonly leaves: readonly tf.Tensor[];
}

interface Where {
  readonly graph: Graph;
  originOf(
    leaf: tf.Tensor,
  ): { readonly peer: number; readonly message: string; readonly index: number } | undefined;
}

/** A mark to be passed on: which tensors of which message will get a gradient. */
export interface OutgoingMark {
  readonly debt: Debt;
  readonly message: string;
  readonly indices: readonly number[];
  /** Positions in `indices` of tensors that have NaN, where that is looked for. */
  readonly broken: readonly number[];
}

export class PassShare {
  readonly about: PassStart;
  readonly #where: Where;
  readonly #visited = new Visited();
  readonly #roots: tf.Tensor[] = [];
  /** Tensors that a gradient message of that name will bring gradients for. */
  readonly #expected = new Map<string, readonly tf.Tensor[]>();
  readonly #debtOf = new Map<number, Debt>();
  readonly #complete = new Map<Debt, Map<number, Gradient | null>>();
  #pass: Pass | undefined;
  #pay: ((debt: Debt, gradients: readonly (Gradient | null)[]) => void) | undefined;
  /** Whether a part of it is to run in a later turn of the event loop. */
  isScheduled = false;
  #debts = 0;
  #isDisposed = false;
  readonly #told = new Set<number>();
  /** Ranks of the workers that told this one of the pass. */
  readonly markers: Set<number> = new Set();

  constructor(where: Where, start: PassStart) {
    this.#where = where;
    this.about = start;
  }

  /** Ranks of the workers that marks were passed on to. */
  get told(): ReadonlySet<number> {
    return this.#told;
  }

  /** Dropped or committed: what still comes for it is late. */
  get isDisposed(): boolean {
    return this.#isDisposed;
  }

  /**
   * Mark phase: `roots` will get a gradient each. @returns the marks to pass on: received tensors that these roots depend
   * on and that no earlier mark of the pass reached
   * @param mark name of the gradient message that will bring them; undefined where the pass starts
   * @param broken positions of roots that have NaN, where that is looked for
   */
  mark(
    mark: string | undefined,
    roots: readonly tf.Tensor[],
    broken: readonly number[] = [],
  ): readonly OutgoingMark[] {
    if (this.about.detectAnomaly) {
      const known = broken.flatMap((i) => roots[i] ?? []);
      assertValues(this.#where.graph, roots, known);
    }
    this.#roots.push(...roots);
    if (mark !== undefined) this.#expected.set(mark, roots);
    const byMessage = new Map<string, { peer: number; indices: number[]; leaves: tf.Tensor[] }>();
    for (const leaf of this.#where.graph.reachableLeaves(roots, this.#visited)) {
      const origin = this.#where.originOf(leaf);
      if (origin === undefined) continue;
      const { peer, message, index } = origin;
      const group = byMessage.get(message) ?? { peer, indices: [], leaves: [] };
      byMessage.set(message, group);
      group.indices.push(index);
      group.leaves.push(leaf);
    }
    return [...byMessage].map(([message, { peer, indices, leaves }]) => {
      const debt = { mark: `${message}/${this.#debts++}`, peer, leaves };
      this.#told.add(peer);
      for (const leaf of leaves) this.#debtOf.set(leaf.id, debt);
      const broken = this.about.detectAnomaly ? brokenOf(leaves) : [];
      return { debt, message, indices, broken };
    });
  }

  /** @param pay sends the gradients of a debt, in the order of its leaves; they stay this share's */
  begin(pay: (debt: Debt, gradients: readonly (Gradient | null)[]) => void): void {
    if (this.#isDisposed) throw new GradwireError('backward_failed', 'the pass is over');
    this.#pay ??= pay;
    this.#pass ??= new Pass(this.#where.graph, this.#roots, {
      retainGraph: this.about.retainGraph,
      detectAnomaly: this.about.detectAnomaly,
      onLeaf: (leaf, gradient) => this.#settle(leaf, gradient),
    });
  }

  /** Starts at `roots`, with `gradients` or ones; runs nothing yet. */
  start(roots: readonly tf.Tensor[], gradients: readonly tf.Tensor[] | undefined): void {
    for (const [i, root] of roots.entries()) this.#running().bring(root, gradients?.[i] ?? 'ones');
  }

  /** Gradients have come; null where there is none. They stay the caller's. Runs nothing yet. */
  feed(mark: string, gradients: readonly (Gradient | null)[]): void {
    const roots = this.#expected.get(mark);
    if (roots === undefined || roots.length !== gradients.length) {
      throw new GradwireError('protocol_error', `gradients ${mark} came that nobody waits for`);
    }
    this.#expected.delete(mark);
    for (const [i, root] of roots.entries()) this.#running().bring(root, gradients[i] ?? null);
  }

  /** Runs what is ready for about that long. @returns whether more is */
  proceed(budgetMs: number): boolean {
    return this.#running().proceed(budgetMs);
  }

  /**
   * Whether all gradients have come and every operation has run. Debts have been sent then, not received: their
   * receivers are not done before they come.
   */
  get isDone(): boolean {
    return this.#pass?.isDone === true && this.#expected.size === 0;
  }

  /** Whether there is anything that could become visible. */
  get hasGradients(): boolean {
    return this.#pass?.hasGradients === true;
  }

  /** Makes the gradients visible. */
  commit(): void {
    this.#running().commit();
    this.dispose();
  }

  /** Drops everything that is not committed. Idempotent. */
  dispose(): void {
    this.#isDisposed = true;
    this.#pass?.dispose();
    for (const gradients of this.#complete.values()) {
      for (const gradient of gradients.values()) gradient?.dispose();
    }
    this.#complete.clear();
  }

  #running(): Pass {
    if (this.#pass === undefined)
      throw new GradwireError('protocol_error', 'the pass has not begun');
    return this.#pass;
  }

  /** A received tensor's gradient is complete; with the last one of its message they go back together. */
  #settle(leaf: tf.Tensor, gradient: Gradient | null): void {
    const debt = this.#debtOf.get(leaf.id);
    if (debt === undefined) {
      gradient?.dispose();
      return;
    }
    const gradients = this.#complete.get(debt) ?? new Map<number, Gradient | null>();
    this.#complete.set(debt, gradients);
    gradients.set(leaf.id, gradient);
    if (gradients.size < debt.leaves.length) return;
    this.#complete.delete(debt);
    try {
      this.#pay?.(
        debt,
        debt.leaves.map(({ id }) => gradients.get(id) ?? null),
      );
    } finally {
      for (const paid of gradients.values()) paid?.dispose();
    }
  }
}
