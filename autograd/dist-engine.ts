/**
 * The distributed backward pass. Carries guarantee G4: it cannot hang on a result that was not used, and nothing of a
 * pass that failed is ever visible.
 *
 * 1. Marks. The initiator walks from its roots to the tensors it received, and tells their senders which of them will
 *    get a gradient (ids alone). Each goes on from there in the same way, and answers when all that it told have. Now
 *    every worker knows exactly which gradients will come. (PyTorch's FAST mode assumes that every result gets one.)
 * 2. Gradients. The initiator feeds its roots. Whenever the gradients for one received message are complete they go back
 *    to its sender, which feeds them. A worker whose share is done says so to the initiator.
 * 3. End. When all shares are done the initiator lets them become visible; if one has failed, or its worker is gone, or
 *    the time is over, all drop theirs.
 */
import { asError, GradwireError } from '../errors.ts';
import { type Incoming, toWire, type WorkerCore } from '../rpc/internal.ts';
import { enterFrame, outside, type TensorScope, tf } from '../tensor/index.ts';
import type { ContextId } from './context-id.ts';
import type { Contexts } from './contexts.ts';
import type { DistContext, MessageId } from './dist-context.ts';
import { Participants } from './participants.ts';
import type { Debt, OutgoingMark, PassShare, PassStart } from './pass-share.ts';

/** How long a pass may take in all, in ms, where the caller sets nothing. */
const BACKWARD_TIMEOUT_MS = 600_000;

export interface BackwardOptions {
  /** Keeps the graph, so that `backward` can be called again. Default: false. */
  readonly retainGraph?: boolean;
  /** How long the pass may take on all workers, in ms. Default: 600,000. */
  readonly timeoutMs?: number;
}

type MarkHead = [ContextId, PassStart, mark: string, message: MessageId, indices: number[]];

export class DistEngine {
  readonly #worker: WorkerCore;
  readonly #contexts: Contexts;
  /** Passes that this worker has started, by id. */
  readonly #started = new Map<string, Participants>();
  #count = 0;

  constructor(worker: WorkerCore, contexts: Contexts) {
    this.#worker = worker;
    this.#contexts = contexts;
    const { endpoint } = worker;
    endpoint.handle('mark', ({ head }) => this.#marked(head as MarkHead));
    endpoint.handle('gradient', (request) => this.#gradient(request));
    endpoint.handle('passDone', ({ head, peer }) => {
      const [pass, failure] = head as [string, unknown];
      this.#started.get(pass)?.done(peer, failure);
    });
    endpoint.handle('finish', ({ head }) =>
      this.#finish(...(head as [ContextId, string, boolean])),
    );
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
    checkRoots(context, roots);
    const self = this.#worker.info.id;
    const { retainGraph = false, timeoutMs = BACKWARD_TIMEOUT_MS } = options;
    const start = { id: `${self}.${this.#count++}`, initiator: self, retainGraph };
    const participants = new Participants(timeoutMs, (rank) => this.#worker.nameOf(rank));
    this.#started.set(start.id, participants);
    participants.add([self]);
    try {
      const share = context.pass(start);
      participants.add(await this.#passOn(context, start, share.mark(undefined, roots)));
      this.#begin(context, share);
      share.feedOnes(roots);
      this.#check(share);
      await participants.allDone();
      await this.#tellAll(participants.ranks, [id, start.id, true]);
    } catch (error) {
      await this.#tellAll(participants.ranks, [id, start.id, false]).catch(() => {});
      throw error;
    } finally {
      this.#started.delete(start.id);
      participants.close();
    }
  }

  /** A worker is gone: passes that need it fail. */
  peerGone(rank: number): void {
    for (const participants of this.#started.values()) participants.lost(rank);
  }

  /** Step 1, at any worker: tells the senders; resolves with the ranks of all that now take part behind them. */
  async #passOn(
    context: DistContext,
    start: PassStart,
    marks: readonly OutgoingMark[],
  ): Promise<readonly number[]> {
    const { endpoint, timeoutMs } = this.#worker;
    const answers = await Promise.all(
      marks.map(({ debt, message, indices }) =>
        outside(() =>
          endpoint.request({
            peer: debt.peer,
            kind: 'mark',
            head: [context.id, start, debt.mark, message, indices],
            body: null,
            bodyName: 'marks',
            what: 'the marks of backward',
            timeoutMs,
          }),
        ),
      ),
    );
    return answers.flat() as number[];
  }

  async #marked([id, start, mark, message, indices]: MarkHead): Promise<readonly number[]> {
    const context = this.#contexts.get(id);
    const roots = context.sent(message, indices);
    if (roots === undefined) {
      throw new GradwireError('protocol_error', `no message ${message} was sent in context ${id}`);
    }
    const marks = context.pass(start).mark(mark, roots);
    const behind = await this.#passOn(context, start, marks);
    return [this.#worker.info.id, ...behind];
  }

  /** Step 2: gradients have come. Answered at once: the work that they cause is no part of the call. */
  #gradient({ head, body, scope, takeScope }: Incoming): null {
    const [id, pass, mark] = head as [ContextId, string, string];
    const context = this.#contexts.get(id);
    const share = context.passes.get(pass);
    if (share === undefined)
      throw new GradwireError('protocol_error', `no pass ${pass} is under way`);
    takeScope();
    outside(() => setImmediate(() => this.#feed(context, share, { mark, body, scope })));
    return null;
  }

  #feed(
    context: DistContext,
    share: PassShare,
    { mark, body, scope }: { mark: string; body: unknown; scope: TensorScope },
  ): void {
    try {
      this.#begin(context, share);
      share.feed(mark, body as (tf.Tensor | null)[]);
      this.#check(share);
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
    { debt, gradients }: { debt: Debt; gradients: readonly (tf.Tensor | null)[] },
  ): void {
    const { endpoint, timeoutMs } = this.#worker;
    const sent = enterFrame(context.graph.silentFrame(), () =>
      endpoint.request({
        peer: debt.peer,
        kind: 'gradient',
        head: [context.id, share.start.id, debt.mark],
        body: gradients,
        bodyName: 'gradients',
        what: 'a gradient',
        timeoutMs,
      }),
    );
    sent.catch((error) => this.#report(share, error));
  }

  #check(share: PassShare): void {
    if (share.isDone) this.#report(share, undefined);
  }

  /** Tells the initiator that this worker's share is done, or why it has failed. */
  #report({ start }: PassShare, error: unknown): void {
    const failure = error === undefined ? null : toWire(error);
    const { endpoint, info } = this.#worker;
    if (start.initiator === info.id) this.#started.get(start.id)?.done(info.id, failure);
    else endpoint.notify(start.initiator, 'passDone', [start.id, failure]);
  }

  /** Step 3, at the initiator. */
  async #tellAll(ranks: Iterable<number>, head: [ContextId, string, boolean]): Promise<void> {
    const { endpoint, info, timeoutMs } = this.#worker;
    const others = [...ranks].filter((rank) => rank !== info.id && endpoint.isConnected(rank));
    const told = others.map((peer) =>
      outside(() =>
        endpoint.request({
          peer,
          kind: 'finish',
          head,
          body: null,
          bodyName: 'end',
          what: 'the end of backward',
          timeoutMs,
        }),
      ),
    );
    this.#finish(...head);
    await Promise.all(told);
  }

  /** Step 3, at every worker that takes part. */
  #finish(id: ContextId, pass: string, isCommitted: boolean): null {
    let context: DistContext;
    try {
      context = this.#contexts.get(id);
    } catch (error) {
      if (isCommitted) throw asError(error);
      return null;
    }
    const share = context.passes.get(pass);
    context.passes.delete(pass);
    if (isCommitted) share?.commit();
    else share?.dispose();
    return null;
  }
}

function checkRoots({ graph }: DistContext, roots: readonly tf.Tensor[]): void {
  if (!Array.isArray(roots) || roots.length === 0) {
    throw new GradwireError('invalid_argument', 'backward needs a list of at least one root');
  }
  for (const root of roots) {
    if (!(root instanceof tf.Tensor)) {
      throw new GradwireError('invalid_argument', 'a root of backward is not a tensor');
    }
    if (root.size !== 1) {
      throw new GradwireError(
        'invalid_argument',
        `a root of backward has shape [${root.shape}]; it must be a scalar, such as a mean`,
      );
    }
    if (!graph.requiresGrad(root)) {
      throw new GradwireError(
        'no_gradient',
        'a root of backward depends on no variable and on nothing received in this context',
      );
    }
  }
}
