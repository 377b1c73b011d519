/**
 * The distributed backward pass. Carries guarantee G6: it cannot hang on a result that was not used, and nothing of a
 * pass that failed is ever visible.
 *
 * 1. Marks. The initiator walks from its roots to the tensors it received, and tells their senders which of them will
 *    get a gradient (ids alone). Each goes on from there in the same way, and answers when all that it told have. Now
 *    every worker knows exactly which gradients will come. (PyTorch's FAST mode assumes that every result gets one.)
 *    See mark-phase.ts.
 * 2. Gradients. The initiator feeds its roots. Whenever the gradients for one received message are complete they go back
 *    to its sender, which feeds them. A worker whose share is done says so to the initiator; one that has no gradients of
 *    its own is over with the pass then.
 * 3. End. When all shares are done the initiator lets the rest become visible; if one has failed, or its worker is gone, or
 *    the time is over, all drop theirs: whoever drops its share tells those that it had passed marks on to, so that the
 *    word also reaches workers that the initiator has not heard of yet, and never before their marks. Should a worker
 *    die while the gradients become visible, the context itself ends, on all that took part.
 *
 * The messages of a pass wait as long as the pass may take, not as long as a call: a busy worker is slow, not gone.
 */
import { asError, GradwireError, isGradwireError } from '../errors.ts';
import { type Incoming, toWire, type WorkerCore } from '../rpc/internal.ts';
import { outside, type TensorScope, type tf } from '../tensor/index.ts';
import { type BackwardOptions, checkRoots, startOf } from './backward-arguments.ts';
import type { ContextId } from './context-id.ts';
import type { Contexts } from './contexts.ts';
import { type DistContext, makerOf } from './dist-context.ts';
import { type Outcome, readGradients, readOfPass, readOutcome, readPassDone } from './heads.ts';
import type { Gradient } from './leaves.ts';
import { MarkPhase } from './mark-phase.ts';
import { failedOn, Participants } from './participants.ts';
import { checkFinish, expectedOf } from './pass-claims.ts';
import { ask } from './pass-messages.ts';
import type { Debt, PassShare, PassStart } from './pass-share.ts';

/** How long a pass may run without a pause, in ms; an operation is not interrupted. */
const BUDGET_MS = 4;

type Gradients = readonly (Gradient | null)[];

export class DistEngine {
  readonly #worker: WorkerCore;
  readonly #contexts: Contexts;
  readonly #marks: MarkPhase;
  /** Passes that this worker has started, by id. */
  readonly #started = new Map<string, Participants>();
  #count = 0;

  constructor(worker: WorkerCore, contexts: Contexts) {
    this.#worker = worker;
    this.#contexts = contexts;
    this.#marks = new MarkPhase(worker, contexts);
    const { endpoint } = worker;
    endpoint.handle('gradient', (request) => this.#gradient(request));
    endpoint.handle('passDone', ({ head, peer }) => {
      const [pass, failure, hasGradients] = readPassDone(head);
      const participants = this.#started.get(pass);
      if (!participants?.ranks.has(peer)) return;
      participants.done(peer, failure);
      if (!hasGradients) participants.finished.add(peer);
    });
    endpoint.handle('finish', ({ head, peer }) => {
      const [id, pass, end] = readOfPass(head);
      const outcome = readOutcome(end);
      checkFinish(this.#contexts.find(id), pass, { isVisible: outcome === 'visible', peer });
      return this.#finish(id, pass, outcome);
    });
  }

  get startedCount(): number {
    return this.#started.size;
  }

  /** See `backward` in api.ts. */
  async backward(
    id: ContextId,
    roots: readonly tf.Tensor[],
    options: BackwardOptions,
  ): Promise<void> {
    const context = this.#contexts.get(id);
    const { gradients } = options;
    checkRoots(context.graph, roots, gradients);
    const { info } = this.#worker;
    const start = startOf(info.id, this.#count++, options);
    const { timeoutMs } = start;
    const participants = new Participants(timeoutMs, (rank) => this.#worker.nameOf(rank));
    const released = (): void => participants.fail(releasedMidway(id));
    context.onRelease.add(released);
    this.#started.set(start.id, participants);
    participants.add([info.id]);
    let outcome: Outcome = 'dropped';
    try {
      const share = context.pass(start);
      const marks = share.mark(undefined, roots);
      participants.add(await participants.orFailure(this.#marks.passOn(context, start, marks)));
      this.#begin(context, share);
      share.start(roots, gradients);
      this.#proceed(context, share);
      await participants.allDone();
      outcome = 'broken';
      await participants.orFailure(this.#commitAll(context, start, participants.toFinish));
    } catch (error) {
      context.onRelease.delete(released);
      this.#drop(context, start.id, { outcome, others: participants.ranks });
      throw isGradwireError(error) ? error : failedOn(info.name, asError(error));
    } finally {
      context.onRelease.delete(released);
      this.#started.delete(start.id);
      participants.close();
    }
  }

  /** A worker is gone: passes that need it fail. */
  peerGone(rank: number): void {
    for (const participants of this.#started.values()) participants.lost(rank);
  }

  /** Step 2: gradients have come. What they cause is no part of the call: it fails the pass, not the message. */
  #gradient({ head, body, peer, scope, takeScope }: Incoming): null {
    const [id, pass, name] = readOfPass(head);
    const mark = expectedOf(peer, name);
    const context = this.#contexts.get(id);
    const share = context.passes.get(pass);
    if (share === undefined)
      throw new GradwireError('protocol_error', `no pass ${pass} is under way`);
    takeScope();
    outside(() => this.#feed(context, share, { mark, body, scope }));
    return null;
  }

  #feed(
    context: DistContext,
    share: PassShare,
    { mark, body, scope }: { mark: string; body: unknown; scope: TensorScope },
  ): void {
    try {
      this.#begin(context, share);
      share.feed(mark, readGradients(body));
      this.#proceed(context, share);
    } catch (error) {
      this.#report(share, error);
    } finally {
      scope.dispose();
    }
  }

  #begin(context: DistContext, share: PassShare): void {
    share.begin((debt, gradients) => this.#pay(context, share, { debt, gradients }));
  }

  /** Sends the gradients of one received message back to its sender. */
  #pay(
    context: DistContext,
    share: PassShare,
    { debt, gradients }: { debt: Debt; gradients: Gradients },
  ): void {
    const head = [context.id, share.about.id, debt.mark];
    const message = { kind: 'gradient', head, body: gradients } as const;
    ask(this.#worker, debt.peer, share.about, message).catch((error) => this.#report(share, error));
  }

  /** Runs what is ready, leaving the event loop to others every few milliseconds. */
  #proceed(context: DistContext, share: PassShare): void {
    if (share.isDisposed || share.isScheduled) return;
    if (share.proceed(BUDGET_MS)) {
      share.isScheduled = true;
      outside(() => setImmediate(() => this.#resume(context, share)));
    } else if (share.isDone) this.#done(context, share);
  }

  /** A share without gradients of its own has nothing that could become visible, and is over with its part of the work. */
  #done(context: DistContext, share: PassShare): void {
    const { id, initiator } = share.about;
    if (share.hasGradients || initiator === this.#worker.info.id)
      return this.#report(share, undefined);
    this.#finish(context.id, id, 'visible');
    this.#worker.endpoint.notify(initiator, 'passDone', [id, null, false]);
  }

  #resume(context: DistContext, share: PassShare): void {
    share.isScheduled = false;
    try {
      this.#proceed(context, share);
    } catch (error) {
      this.#report(share, error);
    }
  }

  /** Tells the initiator that this worker's share is done, or why it has failed. */
  #report({ about: start }: PassShare, error: unknown): void {
    const failure = error === undefined ? null : toWire(error);
    const { endpoint, info } = this.#worker;
    if (start.initiator === info.id) this.#started.get(start.id)?.done(info.id, failure);
    else endpoint.notify(start.initiator, 'passDone', [start.id, failure]);
  }

  /** Step 3, at the initiator: all shares become visible. */
  async #commitAll(
    context: DistContext,
    start: PassStart,
    ranks: readonly number[],
  ): Promise<void> {
    const head = [context.id, start.id, 'visible'];
    const told = ranks.map(async (rank) => {
      try {
        if (rank === this.#worker.info.id) this.#finish(context.id, start.id, 'visible');
        else await ask(this.#worker, rank, start, { kind: 'finish', head });
      } catch (error) {
        throw failedOn(this.#worker.nameOf(rank), asError(error));
      }
    });
    await Promise.all(told);
  }

  /** Step 3, at every worker that takes part. */
  #finish(id: ContextId, pass: string, outcome: Outcome): null {
    if (outcome !== 'visible') {
      const context = this.#contexts.find(id);
      if (context !== undefined) this.#drop(context, pass, { outcome });
      return null;
    }
    const context = this.#contexts.get(id);
    const share = context.passes.get(pass);
    if (share === undefined)
      throw new GradwireError('protocol_error', `no pass ${pass} is under way`);
    context.passes.delete(pass);
    context.committed.add(pass);
    share.commit();
    return null;
  }

  /** Drops the share of a failed pass, and tells those that this worker told of it, and `others`. Idempotent. */
  #drop(
    context: DistContext,
    pass: string,
    { outcome, others = [] }: { outcome: Outcome; others?: Iterable<number> },
  ): void {
    const { endpoint, info } = this.#worker;
    const share = context.passes.get(pass);
    context.passes.delete(pass);
    share?.dispose();
    const peers = new Set([...(share?.told ?? []), ...others]);
    peers.delete(info.id);
    for (const peer of peers) endpoint.notify(peer, 'finish', [context.id, pass, outcome], [pass]);
    const isOurs = share !== undefined || context.committed.has(pass) || makerOf(pass) === info.id;
    if (outcome === 'broken' && isOurs) this.#contexts.release(context.id);
  }
}

function releasedMidway(id: ContextId): GradwireError {
  return new GradwireError(
    'context_released',
    `the autograd context ${id} ended in the middle of its backward pass: await backward inside the context`,
  );
}
