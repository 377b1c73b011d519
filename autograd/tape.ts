/**
 * The record of one graph: operations whose gradients may be wanted, and where each tensor comes from. Everything else
 * is dropped when tfjs hands it over, and its saved tensors are freed at once. Knows nothing of passes or frames.
 */
import { GradwireError } from '../errors.ts';
import {
  claim,
  isInsideKernel,
  type Recorder,
  type TapeNode,
  tf,
  unclaim,
} from '../tensor/index.ts';
import { isLeaf } from './leaves.ts';

/** Origin of a tensor marked by `leaf()`. */
export const LEAF = -1;
/** Origin of a trainable Variable, or of a tensor for which the user wants gradients. */
export const VARIABLE = -2;

/** What a mark phase has seen; kept by the caller from call to call of one pass. */
export class Visited {
  readonly tensors: Set<number> = new Set();
  readonly nodes: Set<number> = new Set();
}

/** What tfjs takes for its tape: an array to read, whose `push` lets the tape decide. */
class NodeList extends Array<TapeNode> {
  static override get [Symbol.species](): ArrayConstructor {
    return Array;
  }

  readonly #record: (node: TapeNode) => void;

  constructor(record: (node: TapeNode) => void) {
    super();
    this.#record = record;
  }

  override push(node: TapeNode): number {
    this.#record(node);
    return this.length;
  }

  append(node: TapeNode): number {
    return super.push(node) - 1;
  }
}

export abstract class Tape implements Recorder {
  depth = 1;
  tape: TapeNode[] | null;
  readonly #nodes: NodeList;
  readonly #isHigherOrder: boolean;
  /** By tensor id: index of the node that made it, LEAF or VARIABLE. Absent: no gradient is wanted. */
  readonly #origins: Map<number, number> = new Map();
  readonly #freed: Set<number> = new Set();
  /** By node: inputs that its gradient may use, though it does not save them. */
  readonly #claims: Map<number, readonly tf.Tensor[]> = new Map();
  #heldClones: TapeNode[] = [];
  #isClosed = false;

  constructor(isHigherOrder: boolean) {
    this.#isHigherOrder = isHigherOrder;
    this.#nodes = new NodeList((node) => this.#record(node));
    this.tape = this.#nodes;
  }

  abstract check(): void;

  get length(): number {
    return this.#nodes.length;
  }

  /** Where the gradient of `t` goes: a node index, LEAF or VARIABLE; undefined if none is wanted. */
  origin(t: tf.Tensor): number | undefined {
    const known = this.#origins.get(t.id);
    if (known !== undefined) return known;
    if (!isLeaf(t)) return undefined;
    // Remembered, so that freezing a variable later does not cut what is recorded.
    this.#origins.set(t.id, VARIABLE);
    return VARIABLE;
  }

  /** The same as far as it is recorded by now. */
  knownOrigin(t: tf.Tensor): number | undefined {
    return this.#origins.get(t.id);
  }

  markLeaf(t: tf.Tensor): void {
    this.#origins.set(t.id, LEAF);
  }

  node(index: number): TapeNode {
    return this.#nodes[index] as TapeNode;
  }

  isFreed(index: number): boolean {
    return this.#freed.has(index);
  }

  /** @throws GradwireError `graph_freed`, `no_gradient` for a node that cannot be differentiated */
  assertRunnable(index: number): void {
    if (this.isFreed(index)) {
      throw new GradwireError(
        'graph_freed',
        'an earlier backward pass freed this graph; give that pass retainGraph: true',
      );
    }
    const { gradient, kernelName } = this.node(index);
    if (gradient !== undefined) return;
    throw new GradwireError(
      'no_gradient',
      `no gradient is registered for the operation ${kernelName}`,
    );
  }

  /** Frees what the node saved; it cannot be differentiated again. */
  free(index: number): void {
    this.#freed.add(index);
    for (const t of this.node(index).saved.splice(0)) t.dispose();
    for (const t of this.#claims.get(index) ?? []) unclaim(t);
    this.#claims.delete(index);
  }

  /** Inputs of a node that a gradient is wanted for, by input name. */
  wantedInputs(node: TapeNode): [name: string, input: tf.Tensor][] {
    const wanted: [string, tf.Tensor][] = [];
    for (const [name, t] of Object.entries(node.inputs)) {
      if (t != null && this.origin(t) !== undefined) wanted.push([name, t]);
    }
    return wanted;
  }

  needsSave(inputs: TapeNode['inputs']): boolean {
    return this.depth > 1 || this.#hasWanted(inputs);
  }

  /** Marked leaves that the roots depend on and that `visited` does not hold yet. */
  reachableLeaves(roots: readonly tf.Tensor[], visited: Visited): tf.Tensor[] {
    const leaves: tf.Tensor[] = [];
    const stack: number[] = [];
    const visit = (t: tf.Tensor): void => {
      const origin = this.origin(t);
      if (origin === undefined || visited.tensors.has(t.id)) return;
      visited.tensors.add(t.id);
      if (origin === LEAF) leaves.push(t);
      if (origin < 0 || visited.nodes.has(origin)) return;
      visited.nodes.add(origin);
      stack.push(origin);
    };
    for (const root of roots) visit(root);
    for (let index = stack.pop(); index !== undefined; index = stack.pop()) {
      for (const [, input] of this.wantedInputs(this.node(index))) visit(input);
    }
    return leaves;
  }

  /** Nodes that the roots depend on, in the order in which they ran. */
  upstream(roots: readonly tf.Tensor[]): TapeNode[] {
    const visited = new Visited();
    this.reachableLeaves(roots, visited);
    return [...visited.nodes].sort((a, b) => a - b).map((index) => this.node(index));
  }

  /** Frees all saved tensors and forgets everything. */
  close(): void {
    this.#isClosed = true;
    for (const node of this.#nodes) for (const t of node.saved) t.dispose();
    for (const inputs of this.#claims.values()) for (const t of inputs) unclaim(t);
    this.#claims.clear();
    this.#nodes.length = 0;
    this.#heldClones = [];
    this.#origins.clear();
    this.#freed.clear();
  }

  #record(node: TapeNode): void {
    if (this.#isClosed) {
      for (const t of node.saved) t.dispose();
    } else if (isInsideKernel()) {
      // The clone of a tensor saved for this kernel: a gradient of a gradient goes through it. Held back, because tfjs
      // records it before the kernel that makes the tensor, and gradients must meet nodes in order.
      if (this.#isHigherOrder || this.depth > 1) this.#heldClones.push(node);
    } else {
      this.#claim(node, this.#add(node));
      if (this.#heldClones.length > 0)
        for (const clone of this.#heldClones.splice(0)) this.#add(clone);
    }
  }

  /** @returns the index of the node if a gradient is wanted for it */
  #add(node: TapeNode): number | undefined {
    const isWanted = this.#hasWanted(node.inputs) && node.outputs.some(canHaveGradient);
    // Inside tf.grads the caller's own xs count too, and we do not know them.
    if (!isWanted && this.depth === 1) {
      for (const t of node.saved) t.dispose();
      return undefined;
    }
    const index = this.#nodes.append(node);
    if (!isWanted) return undefined;
    for (const t of node.outputs) if (canHaveGradient(t)) this.#origins.set(t.id, index);
    return index;
  }

  /**
   * The gradients of kernels use what they save. That of a custom operation is a closure, which often holds the inputs
   * instead (tf.logSigmoid does): they must live as long as it.
   */
  #claim(node: TapeNode, index: number | undefined): void {
    if (index === undefined || node.gradient === undefined) return;
    if (tf.getGradient(node.kernelName) != null) return;
    const inputs = Object.values(node.inputs).filter((t) => t != null);
    const owned = inputs.filter((t) => !(t instanceof tf.Variable));
    for (const t of owned) claim(t);
    this.#claims.set(index, owned);
  }

  #hasWanted(inputs: TapeNode['inputs']): boolean {
    let isWanted = false;
    // All of them are looked at: a Variable becomes a leaf on first sight.
    for (const name in inputs) {
      const t = inputs[name];
      if (t != null && this.origin(t) !== undefined) isWanted = true;
    }
    return isWanted;
  }
}

function canHaveGradient(t: tf.Tensor): boolean {
  return t.dtype === 'float32';
}
