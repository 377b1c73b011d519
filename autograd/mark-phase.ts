/**
 * The first step of a backward pass, at any worker: from what will get a gradient to the received tensors that this depends
 * on, and on to their senders. What the sender of a mark is to be told in turn stands in the answer to it, so that two
 * workers need one round trip for each time that the computation went there and back.
 */
import { asError, GradwireError } from '../errors.ts';
import type { WorkerCore } from '../rpc/internal.ts';
import type { Contexts } from './contexts.ts';
import { type DistContext, makerOf } from './dist-context.ts';
import { type Mark, type Marked, readMark, readMarkAnswer } from './heads.ts';
import { failedOn } from './participants.ts';
import { expectedOf } from './pass-claims.ts';
import { ask } from './pass-messages.ts';
import type { OutgoingMark, PassStart } from './pass-share.ts';

export class MarkPhase {
  readonly #worker: WorkerCore;
  readonly #contexts: Contexts;

  constructor(worker: WorkerCore, contexts: Contexts) {
    this.#worker = worker;
    this.#contexts = contexts;
    worker.endpoint.handle('mark', ({ head, peer }) => this.#marked(readMark(head), peer));
  }

  /** Tells the senders, and goes on with what they answer; resolves with the ranks of all that take part behind them. */
  async passOn(
    context: DistContext,
    start: PassStart,
    marks: readonly OutgoingMark[],
  ): Promise<readonly number[]> {
    const told = marks.map(async (outgoing): Promise<readonly number[]> => {
      const { peer } = outgoing.debt;
      const head = [context.id, start, ...fieldsOf(outgoing)];
      try {
        const answer = await ask(this.#worker, peer, start, { kind: 'mark', head });
        const [ranks, back] = readMarkAnswer(answer);
        const further = back.flatMap((marked) => this.#take(context, start, { ...marked, peer }));
        if (further.length === 0) return ranks;
        return [...ranks, ...(await this.passOn(context, start, further))];
      } catch (error) {
        throw failedOn(this.#worker.nameOf(peer), asError(error));
      }
    });
    return (await Promise.all(told)).flat();
  }

  /** @returns who takes part here and behind, and what the asker is to be told in turn */
  async #marked({ id, start, ...marked }: Mark, peer: number): Promise<readonly unknown[]> {
    const context = this.#contexts.get(id);
    const marks = this.#take(context, start, { ...marked, peer });
    const back = marks.filter(({ debt }) => debt.peer === peer);
    const onward = marks.filter(({ debt }) => debt.peer !== peer);
    const behind = onward.length > 0 ? await this.passOn(context, start, onward) : [];
    return [[this.#worker.info.id, ...behind], back.map(fieldsOf)];
  }

  /** @returns what is to be told to others now */
  #take(
    context: DistContext,
    start: PassStart,
    { mark, sent, broken, peer }: Marked & { readonly peer: number },
  ): readonly OutgoingMark[] {
    const roots = context.sent(peer, ...sent);
    if (roots === undefined || makerOf(start.id) !== start.initiator) {
      const message = `no message ${sent[0]} was sent in context ${context.id}`;
      throw new GradwireError('protocol_error', message);
    }
    const share = context.pass(start);
    share.markers.add(peer);
    return share.mark(expectedOf(peer, mark), roots, broken);
  }
}

/** As `readMark` and `readMarkAnswer` read them. */
function fieldsOf({ debt, message, indices, broken }: OutgoingMark): readonly unknown[] {
  return [debt.mark, message, indices, broken];
}
