/**
 * One worker's share of a distributed autograd context: its graph, and where the graph is joined to those of other
 * workers. PyTorch: `DistAutogradContext`.
 */
import { GradwireError } from '../errors.ts';
import type { tf } from '../tensor/index.ts';
import type { ContextId } from './context-id.ts';
import { Graph, type GraphOptions } from './graph.ts';
import { PassShare, type PassStart } from './pass-share.ts';

/** Names one message that carried tensors of the context, for both its ends. */
export type MessageId = string;

/** Where a received tensor came from. */
export interface Origin {
  /** Rank of the sender. */
  readonly peer: number;
  readonly message: MessageId;
  /** Position among the tensors of the message. */
  readonly index: number;
}

interface Sent {
  readonly peer: number;
  readonly tensors: readonly tf.Tensor[];
}

/** Whose share it is. */
interface ContextPlace {
  readonly self: number;
  readonly broughtBy: number | undefined;
  readonly options: GraphOptions;
}

const contexts = new WeakMap<Graph, DistContext>();

export class DistContext {
  readonly id: ContextId;
  readonly graph: Graph;
  /** Workers that may hold a share of the context because this one has sent to or received from them. */
  readonly peers: Set<number> = new Set();
  /** Passes that are under way here. */
  readonly passes: Map<string, PassShare> = new Map();
  /** Called at its end, before anything is freed. */
  readonly onRelease: Set<() => void> = new Set();
  /** Rank of the worker whose message made this share; undefined on the worker that opened the context. */
  readonly broughtBy: number | undefined;
  readonly #self: number;
  /** Passes whose gradients are visible here. */
  readonly committed: Set<string> = new Set();
  readonly #sent = new Map<MessageId, Sent>();
  /** By id of the received tensor. */
  readonly #received = new Map<number, Origin>();
  #messages = 0;

  constructor(id: ContextId, { self, broughtBy, options }: ContextPlace) {
    this.id = id;
    this.broughtBy = broughtBy;
    this.#self = self;
    this.graph = new Graph(id, options);
    contexts.set(this.graph, this);
  }

  /** The context in which the current flow runs, recording or not. */
  static current(): DistContext | undefined {
    const graph = Graph.current();
    return graph === undefined ? undefined : contexts.get(graph);
  }

  /**
   * Tensors leave for `peer`: the ones that depend on anything here become roots that a gradient may reach.
   * @returns what the receiver must be told: the message's name and the positions of those tensors
   */
  send(peer: number, tensors: readonly tf.Tensor[]): readonly [MessageId, readonly number[]] {
    this.peers.add(peer);
    const indices = [...tensors.keys()].filter((i) =>
      this.graph.requiresGrad(tensors[i] as tf.Tensor),
    );
    const message = `${this.#self}.${++this.#messages}`;
    if (indices.length > 0) this.#sent.set(message, { peer, tensors });
    return [message, indices];
  }

  /** Tensors came from `peer`: those at `indices` become leaves, whose gradients go back there. */
  receive(
    peer: number,
    [message, indices]: readonly [MessageId, readonly number[]],
    tensors: readonly tf.Tensor[],
  ): void {
    if (makerOf(message) !== peer) throw misnamed(message, peer);
    this.peers.add(peer);
    for (const index of indices) {
      const tensor = tensors[index];
      if (tensor === undefined) continue;
      this.graph.leaf(tensor);
      this.#received.set(tensor.id, { peer, message, index });
    }
  }

  /** Messages of this worker whose tensors depend on anything here, with all their tensors. */
  get sentMessages(): ReadonlyMap<MessageId, Sent> {
    return this.#sent;
  }

  /** Where received tensors that gradients go back for came from, by their id. */
  get received(): ReadonlyMap<number, Origin> {
    return this.#received;
  }

  /** Tensors of a message that this worker sent to `peer`; undefined if it sent none like that. */
  sent(
    peer: number,
    message: MessageId,
    indices: readonly number[],
  ): readonly tf.Tensor[] | undefined {
    const sent = this.#sent.get(message);
    if (sent?.peer !== peer) return;
    const { tensors } = sent;
    if (indices.some((index) => tensors[index] === undefined)) return;
    return indices.map((index) => tensors[index] as tf.Tensor);
  }

  originOf(leaf: tf.Tensor): Origin | undefined {
    return this.#received.get(leaf.id);
  }

  /** This worker's share of a pass, begun at its first mention. */
  pass(start: PassStart): PassShare {
    const known = this.passes.get(start.id);
    if (known !== undefined) return known;
    const share = new PassShare(this, start);
    this.passes.set(start.id, share);
    return share;
  }

  /** Frees everything, passes under way included. */
  release(): void {
    for (const tell of this.onRelease) tell();
    this.onRelease.clear();
    for (const share of this.passes.values()) share.dispose();
    this.passes.clear();
    this.#sent.clear();
    this.#received.clear();
    this.graph.release();
  }
}

/** Rank of the worker that named a message, or a pass. */
export function makerOf(id: string): number {
  return Number.parseInt(id, 10);
}

function misnamed(message: MessageId, peer: number): GradwireError {
  const why = `rank ${peer} sent tensors as message ${message}, a name that it cannot give`;
  return new GradwireError('protocol_error', why);
}
