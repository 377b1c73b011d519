/**
 * The first step of a backward pass, at any worker: from what will get a gradient to the received tensors that this depends
 * on, and on to their senders. What the sender of a mark is to be told in turn stands in the answer to it, so that two
 * workers need one round trip for each time that the computation went there and back.
 */
import { asError, GradwireError } from '../errors.ts';
import type { WorkerCore } from '../rpc/internal.ts';
import type { ContextId } from './context-id.ts';
import type { Contexts } from './contexts.ts';
import { type DistContext, type MessageId, makerOf } from './dist-context.ts';
import { failedOn } from './participants.ts';
import { expectedOf } from './pass-claims.ts';
import { ask } from './pass-messages.ts';
import type { OutgoingMark, PassStart } from './pass-share.ts';

/** One mark: the name of the gradients that will come, and which tensors of which message they are for. */
type Mark = [mark: string, message: MessageId, indices: number[], broken: number[]];
type MarkHead = [ContextId, PassStart, ...Mark];
/** Who takes part behind the worker that was told, it included, and what it has to tell the one that told it. */
type Answer = [ranks: number[], back: Mark[]];

export class MarkPhase {
  readonly #worker: WorkerCore;
  readonly #contexts: Contexts;

  constructor(worker: WorkerCore, contexts: Contexts) {
    this.#worker = worker;
    this.#contexts = contexts;
    worker.endpoint.handle('mark', ({ head, peer }) => this.#marked(head as MarkHead, peer));
  }

  /** Tells the senders, and goes on with what they answer; resolves with the ranks of all that take part behind them. */
  async passOn(
    context: DistContext,
    start: PassStart,
    marks: readonly OutgoingMark[],
  ): Promise<readonly number[]> {
    const told = marks.map(async (outgoing): Promise<readonly number[]> => {
      const { peer } = outgoing.debt;
      const head = [context.id, start, ...markOf(outgoing)];
      try {
        const answer = await ask(this.#worker, peer, start, { kind: 'mark', head });
        const [ranks, back] = answer as Answer;
        const further = back.flatMap((mark) => this.#take(context, start, { mark, peer }));
        if (further.length === 0) return ranks;
        return [...ranks, ...(await this.passOn(context, start, further))];
      } catch (error) {
        throw failedOn(this.#worker.nameOf(peer), asError(error));
      }
    });
    return (await Promise.all(told)).flat();
  }

  async #marked([id, start, ...mark]: MarkHead, peer: number): Promise<Answer> {
    const context = this.#contexts.get(id);
    const marks = this.#take(context, start, { mark, peer });
    const back = marks.filter(({ debt }) => debt.peer === peer);
    const onward = marks.filter(({ debt }) => debt.peer !== peer);
    const behind = onward.length > 0 ? await this.passOn(context, start, onward) : [];
    return [[this.#worker.info.id, ...behind], back.map(markOf)];
  }

  /** @returns what is to be told to others now */
  #take(
    context: DistContext,
    start: PassStart,
    { mark: [mark, message, indices, broken], peer }: { mark: Mark; peer: number },
  ): readonly OutgoingMark[] {
    const roots = context.sent(peer, message, indices);
    if (roots === undefined || makerOf(start.id) !== start.initiator) {
      throw new GradwireError(
        'protocol_error',
        `no message ${message} was sent in context ${context.id}`,
      );
    }
    const share = context.pass(start);
    share.markers.add(peer);
    return share.mark(expectedOf(peer, mark), roots, broken);
  }
}

function markOf({ debt, message, indices, broken }: OutgoingMark): Mark {
  return [debt.mark, message, [...indices], [...broken]];
}
