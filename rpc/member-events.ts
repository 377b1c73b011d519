/** What a worker tells of its members, to those who listen now and, in short, to those who listen later. */
import { concat, defer, from, type Observable, Subject } from 'rxjs';
import { outside } from '../tensor/index.ts';
import type { MemberEvent } from './worker-api.ts';

/** Of how many ranks the last event is kept for those who listen late. */
const REMEMBERED = 1_000;

export class MemberEvents {
  readonly #subject = new Subject<MemberEvent>();
  /** The last event of each rank: how things stand, however often workers came and went. */
  readonly #last = new Map<number, MemberEvent>();
  #isComplete = false;

  /** The last event of each rank, then whatever happens. */
  get all(): Observable<MemberEvent> {
    return defer(() => concat(from([...this.#last.values()]), this.#subject));
  }

  /** Listeners run outside of the flow that made it happen. */
  tell(event: MemberEvent): void {
    if (this.#isComplete) return;
    const { id } = event.worker;
    // In the order in which they happened.
    this.#last.delete(id);
    this.#last.set(id, event);
    if (this.#last.size > REMEMBERED) {
      for (const oldest of this.#last.keys()) {
        this.#last.delete(oldest);
        break;
      }
    }
    outside(() => this.#subject.next(event));
  }

  complete(): void {
    this.#isComplete = true;
    outside(() => this.#subject.complete());
  }
}
