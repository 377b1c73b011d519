/**
 * The autograd contexts in which one worker takes part, and how they end: the word goes down the tree in which they came,
 * from each worker to those that it brought the context to (release-notices.ts). It ends with the connection to the worker that brought it
 * too, since nothing else could tell of its end; what is left of a context that lost a worker is of no use.
 */
import { GradwireError } from '../errors.ts';
import { BoundedSet, beyond, type WorkerCore } from '../rpc/internal.ts';
import { type ContextId, contextId, countOf, initiatorOf } from './context-id.ts';
import { DistContext } from './dist-context.ts';
import type { GraphOptions } from './graph.ts';
import { ReleaseNotices } from './release-notices.ts';

/** Contexts that are over are remembered, so that a late message cannot bring one back. */
const REMEMBERED = 10_000;

export class Contexts {
  readonly #worker: WorkerCore;
  readonly #alive = new Map<ContextId, DistContext>();
  readonly #over = new BoundedSet<ContextId>(REMEMBERED);
  /** How many of those that are alive each worker has brought. */
  readonly #brought = new Map<number, number>();
  /** Contexts that were over before they came, each with the worker that said so. */
  readonly #refused = new BoundedSet<string>(REMEMBERED);
  /** Their ends, as they are told. */
  readonly releases: ReleaseNotices;
  #count: number;

  constructor(worker: WorkerCore) {
    this.#worker = worker;
    this.#count = worker.firstId;
    const { endpoint } = worker;
    this.releases = new ReleaseNotices({
      send: (peer, head) => endpoint.notify(peer, 'release', head),
      isConnected: (peer) => endpoint.isConnected(peer),
    });
    endpoint.handle('release', ({ head, peer }) => {
      for (const id of this.releases.heard(peer, head)) this.#releasedBy(peer, id);
    });
  }

  get size(): number {
    return this.#alive.size;
  }

  /** Passes under way of which this worker has a share. */
  get passCount(): number {
    let count = 0;
    for (const { passes } of this.#alive.values()) count += passes.size;
    return count;
  }

  /** Opens a context here. */
  create(options: GraphOptions = {}): DistContext {
    return this.#add(contextId(this.#worker.info.id, this.#count++), undefined, options);
  }

  /** The context of that id, which a message from `peer` brings; known here or not. @throws GradwireError `context_released` */
  join(id: ContextId, peer: number, options: GraphOptions = {}): DistContext {
    const known = this.#alive.get(id);
    if (known !== undefined) return known;
    if (this.#refused.has(broughtBy(id, peer))) throw released(id);
    this.#refuseOver(id);
    const { limits, info } = this.#worker;
    const brought = this.#brought.get(peer) ?? 0;
    if (brought >= limits.maxPeerContexts && peer !== info.id) {
      const held = { peer: this.#worker.nameOf(peer), what: 'autograd contexts' };
      throw beyond('maxPeerContexts', limits.maxPeerContexts, held);
    }
    this.#brought.set(peer, brought + 1);
    return this.#add(id, peer, options);
  }

  find(id: ContextId): DistContext | undefined {
    return this.#alive.get(id);
  }

  /** @throws GradwireError `unknown_context`, `context_released` */
  get(id: ContextId): DistContext {
    const context = this.#alive.get(id);
    if (context !== undefined) return context;
    if (typeof id === 'string') this.#refuseOver(id);
    throw new GradwireError(
      'unknown_context',
      `${this.#worker.info.name} has no autograd context ${id}; use the id that context() gave, on a worker of its group`,
    );
  }

  /** The context of the current flow. @throws GradwireError `unknown_context` if it is another worker's */
  current(): DistContext | undefined {
    const context = DistContext.current();
    if (context === undefined || this.#alive.get(context.id) === context) return context;
    context.graph.assertAlive();
    throw new GradwireError(
      'unknown_context',
      `the current autograd context ${context.id} is not one of ${this.#worker.info.name}: call through its own worker`,
    );
  }

  /** Ends a context here and on the workers that this one knows to take part. Idempotent. */
  release(id: ContextId): void {
    this.#over.add(id);
    const context = this.#alive.get(id);
    if (context === undefined) return;
    this.#alive.delete(id);
    if (context.broughtBy !== undefined) this.#forget(context.broughtBy);
    context.release();
    const { info } = this.#worker;
    for (const peer of context.peers) if (peer !== info.id) this.releases.tell(peer, id);
  }

  /** A worker is gone: contexts that it opened or brought here end. */
  peerGone(rank: number): void {
    this.releases.peerGone(rank);
    for (const [id, { broughtBy }] of this.#alive) {
      if (broughtBy === rank || initiatorOf(id) === rank) this.release(id);
    }
  }

  close(): void {
    this.releases.close();
    for (const [id, context] of this.#alive) {
      this.#over.add(id);
      context.release();
    }
    this.#alive.clear();
  }

  #releasedBy(peer: number, id: ContextId): void {
    const context = this.#alive.get(id);
    if (context?.broughtBy === peer) this.release(id);
    // Its word has overtaken what brings the context: that may not come from it any more.
    else if (context === undefined) this.#refused.add(broughtBy(id, peer));
  }

  #forget(peer: number): void {
    const left = (this.#brought.get(peer) ?? 1) - 1;
    if (left === 0) this.#brought.delete(peer);
    else this.#brought.set(peer, left);
  }

  #add(id: ContextId, broughtBy: number | undefined, options: GraphOptions): DistContext {
    const context = new DistContext(id, { self: this.#worker.info.id, broughtBy, options });
    this.#alive.set(id, context);
    return context;
  }

  #refuseOver(id: ContextId): void {
    if (this.#isOver(id)) throw released(id);
  }

  /** Of its own contexts a worker knows for ever that they are over: whatever is not alive and was opened. */
  #isOver(id: ContextId): boolean {
    if (this.#over.has(id)) return true;
    const { firstId, info } = this.#worker;
    const count = countOf(id);
    if (initiatorOf(id) !== info.id || this.#alive.has(id)) return false;
    return count >= firstId && count < this.#count;
  }
}

function broughtBy(id: ContextId, peer: number): string {
  return `${peer} ${id}`;
}

function released(id: ContextId): GradwireError {
  return new GradwireError(
    'context_released',
    `the autograd context ${id} is over; await all work that is started in a context before its end`,
  );
}
